using System.Text.Json;

namespace Zqfp.Packages.Tests;

/// <summary>The reports that a build leaves beside the model.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class ReportBuildTests(PackagesFixture packages)
{
    private static readonly string[] Kinds = [".report.html", ".report.md", ".report.json"];

    [Fact]
    public void The_output_has_a_page_a_summary_and_the_figures_beside_the_model_and_publish_has_none()
    {
        TestProject project = packages.CopyBuilt("reports");

        Assert.StartsWith("<!DOCTYPE html>", File.ReadAllText(project.OutputModel + ".report.html"), StringComparison.Ordinal);
        Assert.StartsWith("## model.onnx: the gate passed\n", File.ReadAllText(project.OutputModel + ".report.md"),
            StringComparison.Ordinal);
        JsonElement json = JsonDocument.Parse(File.ReadAllText(project.OutputModel + ".report.json")).RootElement;
        Assert.Equal(28, json.GetProperty("quantization").GetProperty("layers").GetArrayLength());
        Assert.True(json.GetProperty("gate").GetProperty("passed").GetBoolean());

        DateTime[] before = [.. Kinds.Select(kind => File.GetLastWriteTimeUtc(project.QuantizedModel + kind))];
        project.Run("publish", "-c", "Debug", "-o", "published").Succeeded();
        Assert.Equal(before, Kinds.Select(kind => File.GetLastWriteTimeUtc(project.QuantizedModel + kind)));
        Assert.Equal(["model.onnx", "model.onnx.data"], Published(project));

        project.Edit("EvaluationWindows=", "PublishReport=\"true\" EvaluationWindows=");
        project.Run("publish", "-c", "Debug", "-o", "published").Succeeded();
        Assert.Equal(["model.onnx", "model.onnx.data", "model.onnx.report.html", "model.onnx.report.json", "model.onnx.report.md"],
            Published(project));
    }

    [Fact]
    public void A_gate_that_fails_leaves_a_report_that_says_why_and_one_that_passes_again_another()
    {
        TestProject project = packages.CopyBuilt("failed report");
        string summary = project.QuantizedModel + ".report.md";
        var failed = project.Build("-p:ZqfpMaxPerplexityIncrease=0%");
        Assert.NotEqual(0, failed.ExitCode);
        Assert.Contains("report of the gate that failed: ", failed.Output, StringComparison.Ordinal);
        Assert.StartsWith("## model.onnx: the gate failed\n", File.ReadAllText(summary), StringComparison.Ordinal);
        Assert.Contains("**error ZQFP3001**", File.ReadAllText(summary), StringComparison.Ordinal);

        Assert.DoesNotContain("gate that failed", project.Build().Succeeded().Output, StringComparison.Ordinal);
        Assert.StartsWith("## model.onnx: the gate passed\n", File.ReadAllText(summary), StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(summary), File.ReadAllText(project.OutputModel + ".report.md"));
    }

    [Fact]
    public void Reports_can_be_switched_off_and_on_without_quantizing_or_measuring()
    {
        TestProject project = packages.CopyBuilt("no reports");
        project.Build().Succeeded();
        (DateTime, DateTime) before = Times(project);
        project.Edit("EvaluationWindows=", "Report=\"false\" EvaluationWindows=");
        project.Build().Succeeded();
        Assert.All(Kinds, kind => Assert.False(File.Exists(project.OutputModel + kind), kind));

        Array.ForEach(Kinds, kind => File.Delete(project.QuantizedModel + kind));
        project.Edit("Report=\"false\"", "Report=\"\"");
        project.Build().Succeeded();
        Assert.All(Kinds, kind => Assert.True(File.Exists(project.OutputModel + kind), kind));
        Assert.Equal(before, Times(project));
    }

    private static string[] Published(TestProject project) =>
        [.. Directory.GetFiles(project.Path("published/model"), "model.onnx*")
            .Select(file => Path.GetFileName(file))
            .Order(StringComparer.Ordinal)];

    private static (DateTime Quantized, DateTime Gated) Times(TestProject project) =>
        (File.GetLastWriteTimeUtc(project.QuantizeStamp), File.GetLastWriteTimeUtc(project.GateStamp));
}
