using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>Normalizers one after another.</summary>
internal sealed class SequenceNormalizer(IReadOnlyList<TextNormalizer> stages) : TextNormalizer
{
    protected override string Rewrite(string text) => stages.Aggregate(text, (current, stage) => stage.Normalize(current));
}

/// <summary>Puts a string before a text that is not empty.</summary>
internal sealed class PrependNormalizer(string prefix) : TextNormalizer
{
    protected override string Rewrite(string text) => text.Length == 0 ? text : prefix + text;
}

/// <summary>Replaces a string by another.</summary>
internal sealed class ReplaceNormalizer(string pattern, string content) : TextNormalizer
{
    protected override string Rewrite(string text) => text.Replace(pattern, content, StringComparison.Ordinal);
}

/// <summary>Replaces the matches of a regular expression by a string.</summary>
internal sealed class PatternReplaceNormalizer(CodePointPattern pattern, string content) : TextNormalizer
{
    protected override string Rewrite(string text)
    {
        var replaced = new StringBuilder(text.Length);
        int end = 0;
        foreach ((int start, int length) in pattern.Matches(text))
        {
            replaced.Append(text, end, start - end).Append(content);
            end = start + length;
        }

        return replaced.Append(text, end, text.Length - end).ToString();
    }
}

/// <summary>Lower case, character by character.</summary>
internal sealed class LowercaseNormalizer : TextNormalizer
{
    // The one letter whose lower case is two characters, which the runtime leaves alone.
    protected override string Rewrite(string text) => text.ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);
}

/// <summary>Removes the code points of a set.</summary>
internal sealed class RemovingNormalizer(CodePointSet removed) : TextNormalizer
{
    protected override string Rewrite(string text)
    {
        var kept = new StringBuilder(text.Length);
        int position = 0;
        while (position < text.Length)
        {
            Rune.DecodeFromUtf16(text.AsSpan(position), out Rune rune, out int units);
            if (!removed.Contains(rune.Value))
            {
                kept.Append(text, position, units);
            }

            position += units;
        }

        return kept.ToString();
    }
}

/// <summary>Takes white space off the ends.</summary>
internal sealed class StripNormalizer(bool left, bool right) : TextNormalizer
{
    protected override string Rewrite(string text) => (left, right) switch
    {
        (true, true) => text.Trim(),
        (true, false) => text.TrimStart(),
        (false, true) => text.TrimEnd(),
        _ => text,
    };
}
