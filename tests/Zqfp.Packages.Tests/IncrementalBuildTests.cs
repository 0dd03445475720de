using System.Globalization;
using System.Text.RegularExpressions;

namespace Zqfp.Packages.Tests;

/// <summary>Nothing runs that need not, and everything that must.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class IncrementalBuildTests(PackagesFixture packages)
{
    [Fact]
    public void The_first_build_prints_one_line_about_the_model_and_puts_it_into_the_output()
    {
        TestProject project = packages.Built;

        string summary = Assert.Single(new DotNetResult(0, packages.FirstBuild).Summaries);
        Assert.Contains("model.onnx", summary, StringComparison.Ordinal);
        Assert.Contains("perplexity", summary, StringComparison.Ordinal);
        Assert.True(File.ReadAllBytes(project.QuantizedModel).AsSpan().SequenceEqual(File.ReadAllBytes(project.OutputModel)));
        Assert.True(File.Exists(project.OutputModel + ".data"));
        Assert.True(new FileInfo(project.OutputModel + ".data").Length < new FileInfo(project.Path("model/model.onnx.data")).Length);
    }

    [Fact]
    public void An_unchanged_build_does_nothing_and_says_nothing()
    {
        TestProject project = packages.CopyBuilt("unchanged");
        (DateTime, DateTime, DateTime) before = Times(project);
        DotNetResult result = project.Build("-consoleLoggerParameters:PerformanceSummary").Succeeded();

        Assert.Equal(before, Times(project));
        Assert.Empty(result.Summaries);
        int[] targets = [.. Regex.Matches(result.Output, "(?m)^ +([0-9]+) ms +_?Zqfp")
            .Select(target => int.Parse(target.Groups[1].Value, CultureInfo.InvariantCulture))];
        Assert.NotEmpty(targets);
        Assert.InRange(targets.Sum(), 0, 300);
    }

    [Fact]
    public void A_pattern_finds_no_model_that_a_build_made()
    {
        TestProject project = packages.CopyBuilt("pattern (a, b)");
        project.Edit("Include=\"model/model.onnx\" Tok", "Include=\"**/*.onnx\" Tok");

        Assert.Empty(project.Build().Succeeded().Summaries);
        Assert.True(File.Exists(project.OutputModel));
    }

    [Fact]
    public void A_file_that_was_only_touched_changes_nothing()
    {
        TestProject project = packages.CopyBuilt("touched");
        (DateTime, DateTime, DateTime) before = Times(project);
        File.SetLastWriteTimeUtc(project.Path("model/model.onnx"), DateTime.UtcNow);
        project.Build().Succeeded();

        Assert.Equal(before, Times(project));
    }

    [Fact]
    public void A_stricter_limit_fails_every_time_without_quantizing_and_the_old_one_passes_again()
    {
        TestProject project = packages.CopyBuilt("limit");
        DateTime quantized = File.GetLastWriteTimeUtc(project.QuantizeStamp);
        for (int i = 0; i < 2; i++)
        {
            DotNetResult failed = project.Build("-p:ZqfpMaxPerplexityIncrease=0%");

            Assert.NotEqual(0, failed.ExitCode);
            Assert.Contains(": error ZQFP3001: ", Assert.Single(failed.Errors), StringComparison.Ordinal);
            Assert.False(File.Exists(project.GateStamp));
        }

        project.Build().Succeeded();
        Assert.True(File.Exists(project.GateStamp));
        Assert.Equal(quantized, File.GetLastWriteTimeUtc(project.QuantizeStamp));
    }

    [Fact]
    public void Another_option_quantizes_again()
    {
        TestProject project = packages.CopyBuilt("option");
        byte[] before = File.ReadAllBytes(project.QuantizedModel + ".data");
        project.Edit("Windows=\"2\" Eval", "Windows=\"2\" Rank=\"0\" Eval");
        DotNetResult result = project.Build().Succeeded();

        Assert.Single(result.Summaries);
        Assert.NotEqual(before.Length, File.ReadAllBytes(project.OutputModel + ".data").Length);
    }

    [Fact]
    public void A_deleted_result_is_made_again_byte_for_byte_also_in_a_folder_with_an_awkward_name()
    {
        TestProject project = packages.CopyBuilt("a b;c@d'(e) é");
        byte[] model = File.ReadAllBytes(project.QuantizedModel);
        byte[] data = File.ReadAllBytes(project.QuantizedModel + ".data");
        Directory.Delete(project.Path("obj"), recursive: true);
        Directory.Delete(project.Path("bin"), recursive: true);
        DotNetResult result = project.Build().Succeeded();

        Assert.Single(result.Summaries);
        Assert.True(model.AsSpan().SequenceEqual(File.ReadAllBytes(project.OutputModel)));
        Assert.True(data.AsSpan().SequenceEqual(File.ReadAllBytes(project.OutputModel + ".data")));
        (DateTime, DateTime, DateTime) before = Times(project);
        project.Build().Succeeded();
        Assert.Equal(before, Times(project));
    }

    private static (DateTime Quantized, DateTime Gated, DateTime Model) Times(TestProject project) =>
        (File.GetLastWriteTimeUtc(project.QuantizeStamp), File.GetLastWriteTimeUtc(project.GateStamp),
            File.GetLastWriteTimeUtc(project.QuantizedModel));
}
