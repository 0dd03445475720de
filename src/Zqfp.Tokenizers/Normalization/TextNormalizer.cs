namespace Zqfp.Tokenizers;

/// <summary>Rewrites a text before it is cut into words. Immutable.</summary>
internal abstract class TextNormalizer
{
    public abstract string Normalize(string text);
}
