using System.Text.RegularExpressions;

namespace Zqfp.Tool.Tests;

/// <summary>A section of the documentation with a table of figures names what gives them: a command, a benchmark or a test.</summary>
public sealed partial class FigureTests
{
    [Fact]
    public void Every_table_of_figures_has_its_command_in_the_same_section()
    {
        List<string> without = [];
        int tables = 0;
        foreach (string page in Directory.GetFiles(Repository.Path("docs"), "*.md"))
        {
            // Tables of options have numbers too; they are generated, and compared elsewhere.
            string text = Generated().Replace(File.ReadAllText(page), "");
            foreach (string section in Sections().Split(text))
            {
                if (Figures().Count(section) >= 2)
                {
                    tables++;
                    if (!Source().IsMatch(section))
                    {
                        without.Add($"{Path.GetFileName(page)}: {section.Split('\n')[0]}");
                    }
                }
            }
        }

        Assert.InRange(tables, 10, int.MaxValue);
        Assert.Empty(without);
    }

    [GeneratedRegex("(?s)<!-- generated.*?/generated -->")]
    private static partial Regex Generated();

    [GeneratedRegex("(?m)^(?=## )")]
    private static partial Regex Sections();

    /// <summary>A row with two cells that begin with a number.</summary>
    [GeneratedRegex(@"(?m)^\|.*\| *\**[+-]?[0-9][^|]*\|(.*\|)? *\**[+-]?[0-9].*$")]
    private static partial Regex Figures();

    [GeneratedRegex(@"(?m)^ *([A-Z_]+=\S+ )*dotnet |`dotnet (run|test|zqfp) |`-- |Tests`|GpuBench|ModelBench")]
    private static partial Regex Source();
}
