using Zqfp.Tokenizers;
namespace Zqfp.Evaluation;

/// <summary>
/// Cuts a stream of ids into windows of one length that do not overlap; the tail that fills no window is dropped.
/// With a beginning token each window is that token and <c>length - 1</c> ids of the stream.
/// </summary>
internal static class TokenWindows
{
    /// <summary>The first windows of the stream, in order: floor(N / length) of them or <paramref name="max"/>.</summary>
    /// <param name="ids">The stream.</param>
    /// <param name="length">Ids in a window, at least 2: one to predict from and one to predict.</param>
    /// <param name="max">Most windows; null for all.</param>
    /// <param name="beginningId">The token each window begins with; null for none.</param>
    /// <exception cref="ZqfpException">ZQFP0113: the length or maximum makes no sense, or the stream fills no window.</exception>
    public static int[][] Cut(ReadOnlySpan<int> ids, int length, int? max = null, int? beginningId = null) =>
        Cut(ids, length, max, beginningId, source: null);

    /// <summary><see cref="Cut(ReadOnlySpan{int}, int, int?, int?)"/> with the stream's own beginning token.</summary>
    public static int[][] Cut(TokenStream stream, int length, int? max = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return Cut(stream.Ids, length, max, stream.WindowBeginningId, stream.Source);
    }

    /// <summary>
    /// Windows drawn without replacement from those <see cref="Cut(ReadOnlySpan{int}, int, int?, int?)"/> gives, in the order
    /// drawn. The same stream, length and seed give the same windows on every machine, and a larger count begins with the
    /// windows of a smaller one. All windows come back, shuffled, where fewer than <paramref name="count"/> exist.
    /// </summary>
    /// <param name="ids">The stream.</param>
    /// <param name="length">Ids in a window, at least 2.</param>
    /// <param name="count">How many windows to draw.</param>
    /// <param name="seed">Seed of the draw.</param>
    /// <param name="beginningId">The token each window begins with; null for none.</param>
    /// <exception cref="ZqfpException">ZQFP0113.</exception>
    public static int[][] Sample(ReadOnlySpan<int> ids, int length, int count, int seed, int? beginningId = null) =>
        Sample(ids, length, count, seed, beginningId, source: null);

    /// <summary><see cref="Sample(ReadOnlySpan{int}, int, int, int, int?)"/> with the stream's own beginning token.</summary>
    public static int[][] Sample(TokenStream stream, int length, int count, int seed)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return Sample(stream.Ids, length, count, seed, stream.WindowBeginningId, stream.Source);
    }

    /// <summary>Windows of random ids, each as likely as any other. The same seed gives the same windows on every machine.</summary>
    /// <param name="vocabulary">Number of ids, 1 or more.</param>
    /// <param name="length">Ids in a window, at least 2.</param>
    /// <param name="count">Number of windows, at least 1.</param>
    /// <param name="seed">Seed of the draw.</param>
    /// <exception cref="ZqfpException">ZQFP0113: the length or the number makes no sense.</exception>
    internal static int[][] Random(int vocabulary, int length, int count, int seed)
    {
        _ = Stride(length, length, count, beginningId: null, source: null);
        ulong state = (ulong)seed;
        int[][] windows = [.. Enumerable.Range(0, count).Select(_ => new int[length])];
        foreach (int[] window in windows)
        {
            for (int i = 0; i < length; i++)
            {
                window[i] = (int)Math.BigMul(Next(ref state), (ulong)vocabulary, out _);
            }
        }

        return windows;
    }

    private static int[][] Cut(ReadOnlySpan<int> ids, int length, int? max, int? beginningId, string? source)
    {
        int stride = Stride(ids.Length, length, max, beginningId, source);
        int count = Math.Min(ids.Length / stride, max ?? int.MaxValue);
        var windows = new int[count][];
        for (int window = 0; window < count; window++)
        {
            windows[window] = Window(ids, window, stride, beginningId);
        }

        return windows;
    }

    private static int[][] Sample(ReadOnlySpan<int> ids, int length, int count, int seed, int? beginningId, string? source)
    {
        int stride = Stride(ids.Length, length, count, beginningId, source);
        int[] order = [.. Enumerable.Range(0, ids.Length / stride)];
        ulong state = (ulong)seed;
        var windows = new int[Math.Min(count, order.Length)][];
        for (int drawn = 0; drawn < windows.Length; drawn++)
        {
            int other = drawn + (int)Math.BigMul(Next(ref state), (ulong)(order.Length - drawn), out _);
            (order[drawn], order[other]) = (order[other], order[drawn]);
            windows[drawn] = Window(ids, order[drawn], stride, beginningId);
        }

        return windows;
    }

    private static int[] Window(ReadOnlySpan<int> ids, int index, int stride, int? beginningId)
    {
        ReadOnlySpan<int> part = ids.Slice(index * stride, stride);
        return beginningId is { } beginning ? [beginning, .. part] : part.ToArray();
    }

    private static int Stride(int available, int length, int? max, int? beginningId, string? source)
    {
        if (length < 2)
        {
            throw new ZqfpException(
                TextCodes.OptionsInvalid, $"A window of {length} token(s) predicts nothing. Give a length of 2 or more.", source);
        }

        if (max is < 1)
        {
            throw new ZqfpException(TextCodes.OptionsInvalid, $"{max} windows were asked for. Ask for 1 or more.", source);
        }

        int stride = beginningId is null ? length : length - 1;
        return available >= stride
            ? stride
            : throw new ZqfpException(TextCodes.OptionsInvalid,
                $"{(source is null ? "The text" : $"The text '{source}'")} has {available} token(s), which fill no window of {length}. "
                + "Give a longer text or shorter windows.",
                source);
    }

    /// <summary>SplitMix64: the draw must not depend on the version of the runtime.</summary>
    private static ulong Next(ref ulong state)
    {
        state += 0x9E3779B97F4A7C15;
        ulong mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }
}
