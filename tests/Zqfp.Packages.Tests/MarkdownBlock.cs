namespace Zqfp.Packages.Tests;

/// <summary>A fenced block of a document.</summary>
/// <param name="Language">What stands behind the opening fence.</param>
/// <param name="Section">The last heading above it.</param>
/// <param name="Text">Its lines.</param>
internal sealed record MarkdownBlock(string Language, string Section, string Text)
{
    /// <summary>The blocks of a document, in order.</summary>
    public static IReadOnlyList<MarkdownBlock> Of(string path)
    {
        List<MarkdownBlock> blocks = [];
        List<string>? lines = null;
        string section = "", language = "";
        foreach (string line in File.ReadLines(path))
        {
            if (lines is null)
            {
                section = line.StartsWith('#') ? line.TrimStart('#', ' ') : section;
                (lines, language) = line.StartsWith("```", StringComparison.Ordinal) ? ([], line[3..]) : (lines, language);
            }
            else if (line == "```")
            {
                blocks.Add(new MarkdownBlock(language, section, string.Join('\n', lines) + "\n"));
                lines = null;
            }
            else
            {
                lines.Add(line);
            }
        }

        return blocks;
    }
}
