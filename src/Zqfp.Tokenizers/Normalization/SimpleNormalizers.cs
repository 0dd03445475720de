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

/// <summary>Lower case by the simple mappings of Unicode.</summary>
internal sealed class LowercaseNormalizer : TextNormalizer
{
    protected override string Rewrite(string text) => text.ToLowerInvariant();
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
