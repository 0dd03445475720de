using Microsoft.ML.Tokenizers;

namespace Zqfp.Tokenizers;

/// <summary>Rewrites a text before it is cut into words. Immutable.</summary>
internal abstract class TextNormalizer : Normalizer
{
    /// <inheritdoc/>
    public sealed override string Normalize(string original)
    {
        ArgumentNullException.ThrowIfNull(original);
        return Rewrite(original);
    }

    /// <inheritdoc/>
    public sealed override string Normalize(ReadOnlySpan<char> original) => Rewrite(original.ToString());

    protected abstract string Rewrite(string text);
}
