using System.Text.RegularExpressions;

namespace Zqfp.Packages.Tests;

/// <summary>
/// A stranger's whole way: docs/getting-started.md, followed word for word with the packages alone and without a network, from
/// <c>dotnet new</c> to a program that runs the quantized model from wherever it is started.
/// </summary>
[Collection(PackagesFixtureDefinition.Name)]
public class GettingStartedTests(PackagesFixture packages)
{
    private static readonly IReadOnlyList<MarkdownBlock> Blocks = MarkdownBlock.Of(Repository.Path("docs/getting-started.md"));

    [Fact]
    public void The_guide_leads_from_an_empty_folder_to_a_failing_and_a_passing_gate_and_a_running_program()
    {
        TestProject files = packages.CreateProject("guide files");
        string folder = Path.Combine(Path.GetDirectoryName(files.Folder)!, "guide"), fresh = Path.Combine(folder, "packages");
        Directory.CreateDirectory(folder);
        DotNetResult Run(string inFolder, params string[] arguments) => DotNet.RunOffline(inFolder, fresh, arguments);
        void Follow(string section, string inFolder)
        {
            foreach (string command in Commands(section).Where(command => command.StartsWith("dotnet ", StringComparison.Ordinal)
                && !command.StartsWith("dotnet build", StringComparison.Ordinal)))
            {
                Run(command.StartsWith("dotnet new", StringComparison.Ordinal) ? folder : inFolder, command.Split(' ')[1..]).Succeeded();
            }
        }

        // 1: the project, with the sample's files where the guide puts them; few windows, so that the test takes seconds.
        string project = Path.Combine(folder, "Stories"), projectFile = Path.Combine(project, "Stories.csproj");
        Follow("1. A project with a model", project);
        Directory.Move(files.Path("model"), Path.Combine(project, "model"));
        Directory.CreateDirectory(Path.Combine(project, "data"));
        foreach (string text in new[] { "calibration", "evaluation" })
        {
            File.Move(files.Path($"data/{text}.txt"), Path.Combine(project, $"data/tinystories-{text}.txt"));
        }

        string items = Blocks.Single(block => block is { Language: "xml", Section: "1. A project with a model" }).Text;
        File.WriteAllText(projectFile, File.ReadAllText(projectFile).Replace("</Project>", items + "</Project>", StringComparison.Ordinal));
        string[] few = ["-p:ZqfpWindows=4", "-p:ZqfpEvaluationWindows=8"];
        string build = Commands("1. A project with a model").Last();
        DotNetResult built = Run(project, [.. build.Split(' ')[1..], .. few]).Succeeded();
        AssertShown("1. A project with a model", Assert.Single(built.Summaries));
        Assert.True(File.Exists(Path.Combine(project, "bin/Debug/net10.0/model/model.onnx.report.html")));

        // 2: the gate fails, by the command of the guide, and the tool explains why.
        string[] gate = [.. Commands("2. A gate that fails")];
        AssertShown("2. A gate that fails", Assert.Single(Run(project, [.. gate[0].Split(' ')[1..], .. few]).Errors));
        string[] said = [.. gate[1..].Select(command => Run(project, command.Split(' ')[1..]).Succeeded().Output)];
        Assert.StartsWith("# ZQFP3001: ", said[^1], StringComparison.Ordinal);

        // 3: the result becomes the baseline, and passes against itself.
        string baseline = Blocks.Single(block => block is { Language: "xml", Section: "3. A gate that passes" }).Text.Trim();
        string limit = "MaxPerplexityIncrease=\"5%\"";
        File.WriteAllText(projectFile, File.ReadAllText(projectFile).Replace(limit, $"{limit} {baseline}", StringComparison.Ordinal));
        string accept = Commands("3. A gate that passes").First();
        Run(project, [.. accept.Split(' ')[1..], .. few]).Succeeded();
        Assert.True(File.Exists(Path.Combine(project, "zqfp.baseline.json")));
        Assert.Contains("against the baseline", Assert.Single(Run(project, ["build", .. few]).Succeeded().Summaries),
            StringComparison.Ordinal);

        // 4: the program, exactly as printed.
        string program = Blocks.Single(block => block.Language == "csharp").Text;
        Assert.InRange(program.Split('\n').Count(line => line.Length > 0), 1, 25);
        File.WriteAllText(Path.Combine(project, "Program.cs"), program);
        foreach (string command in Commands("4. Running the model").Where(command => command != "dotnet run"))
        {
            Run(project, command.Split(' ')[1..]).Succeeded();
        }

        Run(project, ["build", .. few]).Succeeded();
        string story = Run(folder, "run", "--project", "Stories", "--no-build").Succeeded().Output;
        Assert.StartsWith("Once upon a time", story, StringComparison.Ordinal);
        Assert.InRange(story.Trim().Length, 100, 1000);

        // Published and moved elsewhere, so that nothing is found that was not published.
        Run(project, ["publish", "-c", "Debug", "-o", Path.Combine(folder, "published"), .. few]).Succeeded();
        Directory.Move(Path.Combine(folder, "published"), Path.Combine(folder, "installed"));
        Directory.Move(project, Path.Combine(folder, "gone"));
        Assert.Equal(story, Run(folder, "installed/Stories.dll").Succeeded().Output);
    }

    /// <summary>What the guide shows is what was printed, but for the numbers, and for what stands in brackets without digits.</summary>
    private static void AssertShown(string section, string printed)
    {
        string shown = Blocks.Single(block => block.Language == "text" && block.Section == section).Text;
        Assert.Matches(Regex.Escape(Masked(shown)).Replace(@"\(\.\.\.\)", @"\([^()]*\)", StringComparison.Ordinal), Masked(printed));
    }

    private static string Masked(string text) =>
        Regex.Replace(Regex.Replace(text, "[0-9]+([.,][0-9]+)*", "0"), @"\s+", " ").Trim();

    private static IEnumerable<string> Commands(string section) => Blocks
        .Where(block => block.Language == "console" && block.Section == section)
        .SelectMany(block => block.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries));
}
