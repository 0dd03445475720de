using System.Globalization;

namespace Zqfp;

/// <summary>What is different for some layers, as people write it: <c>*down_proj*:format=fp8,rank=16</c>.</summary>
internal sealed class OverrideText
{
    /// <summary>The format that leaves a layer as it is.</summary>
    public const string KeepFloat = "float";

    private const int WholeTensor = -1;

    private OverrideText(string pattern, IReadOnlyList<KeyValuePair<string, string>> changes)
    {
        Pattern = pattern;
        Changes = changes;
    }

    /// <summary>The pattern of the layers' names. It may hold colons; no key or value does.</summary>
    public string Pattern { get; }

    /// <summary>Keys (<c>format</c>, <c>group-size</c>, <c>rank</c>) and values.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Changes { get; }

    /// <summary>
    /// What is wrong with a text, or null. The formats' words are <paramref name="formats"/> and <see cref="KeepFloat"/>.
    /// </summary>
    public static string? Problem(string text, IReadOnlyList<string> formats)
    {
        if (text.LastIndexOf(':') <= 0)
        {
            return $"is a pattern, a colon and what is different, such as '*down_proj*:format=fp8,rank=16', not '{text}'";
        }

        foreach (KeyValuePair<string, string> change in Parse(text).Changes)
        {
            bool isRight = change.Key switch
            {
                "format" => change.Value == KeepFloat || formats.Contains(change.Value),
                "group-size" => IsWhole(change.Value, WholeTensor),
                "rank" => IsWhole(change.Value, 0),
                _ => false,
            };
            if (!isRight)
            {
                string part = change.Value.Length > 0 ? $"{change.Key}={change.Value}" : change.Key;
                return $"sets format ({string.Join(", ", formats)}, {KeepFloat}), group-size or rank, not '{part}'";
            }
        }

        return null;
    }

    /// <summary>Takes a text apart that has no <see cref="Problem"/>.</summary>
    public static OverrideText Parse(string text)
    {
        int colon = text.LastIndexOf(':');
        return new OverrideText(text.Substring(0, colon), [.. text.Substring(colon + 1).Split(',').Select(Change)]);
    }

    private static KeyValuePair<string, string> Change(string part)
    {
        string[] sides = part.Trim().Split(['='], 2);
        return new KeyValuePair<string, string>(sides[0], sides.Length == 2 ? sides[1] : string.Empty);
    }

    private static bool IsWhole(string text, int least) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) && value >= least;
}
