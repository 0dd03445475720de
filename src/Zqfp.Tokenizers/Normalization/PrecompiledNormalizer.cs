using System.Globalization;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>
/// SentencePiece's rules as Hugging Face <c>tokenizers</c> applies them: a grapheme cluster of fewer than six bytes becomes what the
/// shortest rule that it begins with says, the rest is done code point by code point.
/// </summary>
internal sealed class PrecompiledNormalizer(CharsMap rules) : TextNormalizer
{
    private const int BytesTooMany = 6;

    protected override string Rewrite(string text)
    {
        var normalized = new StringBuilder(text.Length + 16);
        int position = 0;
        while (position < text.Length)
        {
            ReadOnlySpan<char> cluster = text.AsSpan(position, StringInfo.GetNextTextElementLength(text, position));
            position += cluster.Length;
            if (Encoding.UTF8.GetByteCount(cluster) < BytesTooMany && rules.TryMatchShortest(cluster, out string? replacement))
            {
                normalized.Append(replacement);
                continue;
            }

            while (cluster.Length > 0)
            {
                Rune.DecodeFromUtf16(cluster, out _, out int units);
                if (rules.TryMatchShortest(cluster[..units], out replacement))
                {
                    normalized.Append(replacement);
                }
                else
                {
                    normalized.Append(cluster[..units]);
                }

                cluster = cluster[units..];
            }
        }

        return normalized.ToString();
    }
}
