using Zqfp.Pipeline.Text;

namespace Zqfp.Pipeline.Calibration;

/// <summary>A text as token windows that a model can read.</summary>
/// <param name="Windows">Windows of equal length, in the text's order.</param>
/// <param name="TotalTokens">Tokens of the whole text.</param>
internal sealed record TokenWindowSet(IReadOnlyList<int[]> Windows, long TotalTokens)
{
    /// <summary>No text.</summary>
    public static TokenWindowSet Empty { get; } = new([], 0);
}
