using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Zqfp.Tool.Tests;

/// <summary>The recording in the README shows what the guide shows, whose text is compared with what a build prints.</summary>
public sealed class PictureTests
{
    [Fact]
    public void The_recording_shows_the_error_and_the_figures_of_the_guide()
    {
        XDocument picture = XDocument.Load(Repository.Path("docs/images/gate.svg"));
        string recorded = WithoutSpaces(string.Concat(picture.Descendants()
            .Where(element => element.Name.LocalName == "text")
            .Select(element => element.Value)));
        string guide = File.ReadAllText(Repository.Path("docs/getting-started.md"));
        string error = Regex.Match(guide, "(?s)\n(error ZQFP3001: .*?)\n```").Groups[1].Value;
        string interval = Regex.Match(guide, @"perplexity .* -> .*, (\+.* % \(95 % interval .*?\))").Groups[1].Value;

        Assert.NotEmpty(error);
        Assert.NotEmpty(interval);
        Assert.Contains(WithoutSpaces(error), recorded, StringComparison.Ordinal);
        Assert.Contains(WithoutSpaces(interval), recorded, StringComparison.Ordinal);
        Assert.Contains(WithoutSpaces("model.onnx: the gate passed"), recorded, StringComparison.Ordinal);
    }

    // Lines of the terminal end anywhere.
    private static string WithoutSpaces(string text) => Regex.Replace(text, @"\s+", "");
}
