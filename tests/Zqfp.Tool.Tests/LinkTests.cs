using System.Text.RegularExpressions;

namespace Zqfp.Tool.Tests;

/// <summary>Links of every Markdown file in the repository lead to something; external ones are well formed and encrypted.</summary>
public sealed partial class LinkTests
{
    private static readonly string[] Files = [.. Repository.Files("*.md")];

    [Fact]
    public void Every_link_leads_to_a_file_and_a_heading_that_exist()
    {
        List<string> broken = [];
        int links = 0;
        foreach (string file in Files)
        {
            foreach (string target in Targets(file))
            {
                links++;
                if (!Exists(file, target))
                {
                    broken.Add($"{Path.GetRelativePath(Repository.Root, file)}: {target}");
                }
            }
        }

        Assert.InRange(links, 100, int.MaxValue);
        Assert.Empty(broken);
    }

    [Fact]
    public void The_list_of_diagnostics_has_every_page_with_its_title()
    {
        string list = string.Concat(Directory.GetFiles(Repository.Path("docs/diagnostics"))
            .Order(StringComparer.Ordinal)
            .Select(page => (Code: Path.GetFileNameWithoutExtension(page), Title: File.ReadLines(page).First()))
            .Select(page => $"- [{page.Code}](diagnostics/{page.Code}.md): {page.Title[$"# {page.Code}: ".Length..]}\n"));
        string index = Repository.Path("docs/diagnostics.md"), text = File.ReadAllText(index);
        string expected = text[..(text.IndexOf("\n- ", StringComparison.Ordinal) + 1)] + list;
        if (Environment.GetEnvironmentVariable("ZQFP_UPDATE_SNAPSHOTS") == "1")
        {
            File.WriteAllText(index, expected);
        }

        Assert.Equal(expected, File.ReadAllText(index));
    }

    [Fact]
    public void Every_page_of_the_documentation_is_linked_from_another()
    {
        HashSet<string> linked = [.. Files.SelectMany(file => Targets(file)
            .Where(target => !target.Contains("://", StringComparison.Ordinal))
            .Select(target => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, target.Split('#')[0])))
            .Where(target => target != file))];

        Assert.Empty(Files
            .Where(file => Path.GetDirectoryName(file) == Repository.Path("docs") && !linked.Contains(file))
            .Select(file => Path.GetRelativePath(Repository.Root, file)));
    }

    private static IEnumerable<string> Targets(string file) =>
        Link().Matches(Prose(file)).Select(link => link.Groups["target"].Value);

    private static bool Exists(string file, string target)
    {
        if (target.Contains("://", StringComparison.Ordinal))
        {
            return Uri.TryCreate(target, UriKind.Absolute, out Uri? address) && address.Scheme == Uri.UriSchemeHttps;
        }

        string[] parts = target.Split('#');
        string path = parts[0].Length == 0 ? file : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, parts[0]));
        return (File.Exists(path) || Directory.Exists(path)) && (parts.Length == 1 || Anchors(path).Contains(parts[1]));
    }

    /// <summary>
    /// Names of headings as GitHub makes them: lower case, spaces as hyphens, no other punctuation, numbered where repeated.
    /// </summary>
    private static HashSet<string> Anchors(string file)
    {
        HashSet<string> anchors = [];
        foreach (Match heading in Heading().Matches(Prose(file, withCode: true)))
        {
            string text = Link().Replace(heading.Groups["text"].Value, "${text}").Trim().ToLowerInvariant();
            string name = Punctuation().Replace(text, "").Replace(' ', '-');
            for (int i = 1; !anchors.Add(name); i++)
            {
                name = $"{Punctuation().Replace(text, "").Replace(' ', '-')}-{i}";
            }
        }

        return anchors;
    }

    /// <summary>The text without fenced blocks, and without code in a line.</summary>
    private static string Prose(string file, bool withCode = false)
    {
        string text = Fence().Replace(File.ReadAllText(file), "");
        return withCode ? text : Code().Replace(text, "code");
    }

    [GeneratedRegex(@"\[(?<text>[^\[\]]*)\]\((?<target>[^()\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("(?m)^#+ (?<text>.*)$")]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\p{L}\p{N} _-]")]
    private static partial Regex Punctuation();

    [GeneratedRegex(@"(?ms)^```.*?^```\s*$")]
    private static partial Regex Fence();

    [GeneratedRegex("`[^`\n]+`")]
    private static partial Regex Code();
}
