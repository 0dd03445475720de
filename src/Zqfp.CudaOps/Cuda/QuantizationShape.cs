namespace Zqfp.CudaOps;

/// <summary>How a block holds a token while it quantizes it.</summary>
/// <param name="Threads">Threads of a block.</param>
/// <param name="Vectors">Pieces of 8 values that each of them has.</param>
internal readonly record struct QuantizationShape(int Threads, int Vectors)
{
    /// <summary>The longest token that registers hold.</summary>
    public const int MostColumns = 32768;

    /// <summary>Threads of a block of the kernel that reads tokens again and again.</summary>
    public const int SimpleThreads = 256;

    /// <summary>Up to so many tokens are few: about two for each multiprocessor.</summary>
    public const int FewTokens = 256;

    private const int Piece = 8;

    /// <summary>Whether tokens of such a length fit.</summary>
    public static bool Fits(int columns) => columns % Piece == 0 && columns <= MostColumns;

    /// <summary>
    /// The shape for a length. One token alone is a chain of dependent steps: the fewer pieces a thread has, the shorter it is; the more
    /// threads there are, the longer their sums take. Many tokens fill the device anyhow, with small blocks best.
    /// </summary>
    /// <param name="columns">K.</param>
    /// <param name="areMany">Whether there are more than <see cref="FewTokens"/>.</param>
    public static QuantizationShape Of(int columns, bool areMany)
    {
        int threads = areMany || columns <= 2048 || columns > 16384 ? 256 : columns <= 8192 ? 512 : 1024;
        return WithThreads(columns, threads);
    }

    /// <summary>The shape for a length with so many threads.</summary>
    public static QuantizationShape WithThreads(int columns, int threads) =>
        new(threads, (columns + (Piece * threads) - 1) / (Piece * threads));

    /// <summary>The macros that compile the kernel.</summary>
    public IEnumerable<string> Definitions() => [$"THREADS={Threads}", $"VECTORS={Vectors}"];
}
