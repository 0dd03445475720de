namespace Zqfp.Pipeline.Calibration;

/// <summary>Windows of equal length that are run together.</summary>
/// <param name="Ids">Token ids [windows, length], row-major.</param>
/// <param name="Windows">Number of windows.</param>
/// <param name="Length">Tokens in a window.</param>
internal sealed record TokenBatch(int[] Ids, int Windows, int Length)
{
    /// <summary>Tokens run at once, about: enough to keep matrix products busy, few enough for small memory.</summary>
    private const int TokensPerBatch = 2048;

    /// <summary>Cuts windows into batches, in order.</summary>
    public static IReadOnlyList<TokenBatch> Group(IReadOnlyList<int[]> windows) =>
        windows.Count == 0
            ? []
            : [.. windows.Chunk(Math.Max(1, TokensPerBatch / windows[0].Length)).Select(chunk => new TokenBatch([.. chunk.SelectMany(ids => ids)], chunk.Length, chunk[0].Length))];
}
