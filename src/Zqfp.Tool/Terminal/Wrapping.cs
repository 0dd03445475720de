using System.Text;

namespace Zqfp.Tool;

/// <summary>Breaks text at spaces, so that a terminal need not break words.</summary>
internal static class Wrapping
{
    /// <summary>What is narrower than this is left to the terminal.</summary>
    private const int Narrowest = 24;

    private const int Indent = 2;

    /// <summary>
    /// Text of any lines, each broken to <paramref name="width"/>; what continues a line stands two columns further in than it began.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="width">Columns there are; null for a stream that has none, which gets the text as it is.</param>
    public static string Wrap(string text, int? width) => width is not { } columns
        ? text
        : string.Join('\n', text.Split('\n').Select(line =>
        {
            int before = line.Length - line.TrimStart(' ').Length;
            return string.Join("\n" + new string(' ', before + Indent),
                Lines(line.TrimStart(' '), columns - before, columns - before - Indent)).Insert(0, new string(' ', before));
        }));

    /// <summary>The lines of one paragraph. A word longer than a line has one of its own.</summary>
    /// <param name="text">Words, with single spaces between them.</param>
    /// <param name="first">Columns of the first line.</param>
    /// <param name="others">Columns of the lines behind it.</param>
    public static IEnumerable<string> Lines(string text, int first, int others)
    {
        if (text.Length <= first || others < Narrowest)
        {
            return [text];
        }

        List<string> lines = [];
        var line = new StringBuilder();
        foreach (string word in text.Split(' '))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > (lines.Count == 0 ? first : others))
            {
                lines.Add(line.ToString());
                line.Clear();
            }

            line.Append(line.Length > 0 ? " " : "").Append(word);
        }

        return [.. lines, line.ToString()];
    }
}
