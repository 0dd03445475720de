using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>BERT's: cleaning, spaces around Han characters, accents off, lower case, in this order.</summary>
internal sealed class BertNormalizer : TextNormalizer
{
    private static readonly CodePointSet Han = CodePointSet.FromRanges(
    [
        (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
        (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F),
    ]);

    private readonly UnicodeNormalizer _decompose = new(compose: false);
    private readonly RemovingNormalizer _removeAccents = new(NormalizationTables.Instance.BertAccents);
    private readonly LowercaseNormalizer _lowercase = new();

    /// <summary>Whether control characters go and every white space becomes a space.</summary>
    public required bool Cleans { get; init; }

    /// <summary>Whether Han characters become words of their own.</summary>
    public required bool SeparatesHan { get; init; }

    public required bool StripsAccents { get; init; }

    public required bool Lowercases { get; init; }

    protected override string Rewrite(string text)
    {
        text = Cleans || SeparatesHan ? Clean(text) : text;
        text = StripsAccents ? _removeAccents.Normalize(_decompose.Normalize(text)) : text;
        return Lowercases ? _lowercase.Normalize(text) : text;
    }

    private string Clean(string text)
    {
        CodePointSet controls = NormalizationTables.Instance.BertControls;
        var cleaned = new StringBuilder(text.Length + 16);
        int position = 0;
        while (position < text.Length)
        {
            // An unpaired surrogate decodes to U+FFFD, which is removed.
            Rune.DecodeFromUtf16(text.AsSpan(position), out Rune rune, out int units);
            if (SeparatesHan && Han.Contains(rune.Value))
            {
                cleaned.Append(' ').Append(text, position, units).Append(' ');
            }
            else if (Cleans && Rune.IsWhiteSpace(rune) && !controls.Contains(rune.Value))
            {
                cleaned.Append(' ');
            }
            else if (!Cleans || !controls.Contains(rune.Value))
            {
                cleaned.Append(text, position, units);
            }

            position += units;
        }

        return cleaned.ToString();
    }
}
