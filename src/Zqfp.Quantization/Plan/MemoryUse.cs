using System.Globalization;

namespace Zqfp.Quantization;

/// <summary>How calibration divides its work to need less memory; the result does not depend on it.</summary>
/// <param name="TokensAtOnce">Tokens that are computed at a time, in all batches that run at once.</param>
/// <param name="SpillsBoundaries">Whether values that cross from one slice to the next are in files, not in memory.</param>
internal sealed record MemoryUse(int TokensAtOnce, bool SpillsBoundaries)
{
    private const int LeastTokens = 128;

    /// <summary>Without a limit.</summary>
    public static MemoryUse Usual { get; } = new(SliceRunner.TokensAtOnce, SpillsBoundaries: false);

    /// <summary>The fastest way within a limit.</summary>
    /// <param name="limit">Bytes; null for no limit.</param>
    /// <param name="peak">The peak of a way, estimated.</param>
    /// <exception cref="ZqfpException">ZQFP0043: there is none.</exception>
    public static MemoryUse Within(long? limit, Func<MemoryUse, long> peak)
    {
        if (limit is null || peak(Usual) <= limit)
        {
            return Usual;
        }

        for (MemoryUse use = Usual with { SpillsBoundaries = true }; ; use = use with { TokensAtOnce = use.TokensAtOnce / 2 })
        {
            long needed = peak(use);
            if (needed <= limit)
            {
                return use;
            }

            if (use.TokensAtOnce <= LeastTokens)
            {
                throw new ZqfpException("ZQFP0043", string.Create(CultureInfo.InvariantCulture,
                    $"About {needed / 1e6:N0} MB of memory are needed at least, and --memory allows {limit.Value / 1e6:N0} MB. The widest "
                    + $"layer decides: raise the limit, use a shorter --window, or --exclude that layer."));
            }
        }
    }
}
