namespace Zqfp.Evaluation;

/// <summary>Windows of equal length that are run together.</summary>
/// <param name="Ids">Token ids [windows, length], row-major.</param>
/// <param name="Windows">Number of windows.</param>
/// <param name="Length">Tokens in a window.</param>
internal sealed record TokenBatch(int[] Ids, int Windows, int Length)
{
    /// <summary>Tokens run at once, about: enough to keep matrix products busy, few enough for small memory.</summary>
    private const int TokensPerBatch = 2048;

    /// <summary>Numbers of output of a batch at most: 1 GiB in float32.</summary>
    private const int OutputsPerBatch = 1 << 28;

    /// <summary>Tokens that stand before each window and were run already: their keys and values are in the model's cache.</summary>
    public int Past { get; init; }

    /// <summary>These keys and values, which stay the caller's; null where there are none, or it feeds them itself.</summary>
    public ContextCache? Context { get; init; }

    /// <summary>The ids of one window.</summary>
    public ReadOnlySpan<int> Window(int index) => Ids.AsSpan(index * Length, Length);

    /// <summary>Every token: places in <see cref="Ids"/>.</summary>
    public int[] Tokens => [.. Enumerable.Range(0, Windows * Length)];

    /// <summary>The tokens that another one follows in their window, which is what their logits predict.</summary>
    public int[] Predicting => [.. Enumerable.Range(0, Windows * Length).Where(token => token % Length < Length - 1)];

    /// <summary>Cuts windows into batches, in order.</summary>
    /// <param name="windows">The windows.</param>
    /// <param name="outputsPerToken">Numbers the model gives for a token; few where only hidden values are asked for.</param>
    /// <param name="most">Windows of a batch at most; null for no limit but memory.</param>
    public static IReadOnlyList<TokenBatch> Group(IReadOnlyList<int[]> windows, int outputsPerToken = 1, int? most = null) =>
        windows.Count == 0
            ? []
            : [.. windows.Chunk(most ?? Math.Max(1, Math.Min(TokensPerBatch, OutputsPerBatch / outputsPerToken) / windows[0].Length))
                .Select(chunk => new TokenBatch([.. chunk.SelectMany(ids => ids)], chunk.Length, chunk[0].Length))];
}
