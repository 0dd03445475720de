using System.Buffers;

namespace Zqfp;

/// <summary>Text of files and models made fit for people's eyes: a name can hold commands to a terminal.</summary>
internal static class PrintableText
{
    private const char Replacement = '\uFFFD';

    private static readonly SearchValues<char> Unfit = SearchValues.Create(
    [
        .. Enumerable.Range(0, char.MaxValue + 1).Select(value => (char)value)
            .Where(value => value is not ('\n' or '\t') && IsUnfit(value)),
    ]);

    /// <summary>
    /// The text with control characters, and those that turn the direction of what follows, replaced; line feeds and tabs stay.
    /// </summary>
    public static string Of(string text) => text.AsSpan().IndexOfAny(Unfit) < 0
        ? text
        : string.Create(text.Length, text, (result, source) =>
        {
            source.CopyTo(result);
            result.ReplaceAny(Unfit, Replacement);
        });

    /// <summary>As <see cref="Of"/>, on one line.</summary>
    public static string Line(string text) => Of(text.ReplaceLineEndings(" "));

    private static bool IsUnfit(char value) => char.IsControl(value) || value is >= '\u202A' and <= '\u202E' or >= '\u2066' and <= '\u2069';
}
