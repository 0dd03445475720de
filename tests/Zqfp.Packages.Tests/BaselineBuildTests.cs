namespace Zqfp.Packages.Tests;

/// <summary>Accepted results and recipes, in a build.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class BaselineBuildTests(PackagesFixture packages)
{
    [Fact]
    public void A_baseline_is_recorded_when_asked_for_then_holds_and_only_then_changes()
    {
        TestProject project = packages.CopyBuilt("baseline");
        string baseline = project.Path("zqfp.baseline.json");
        project.Edit("EvaluationWindows=", "Baseline=\"zqfp.baseline.json\" EvaluationWindows=");

        Assert.Contains(": error ZQFP3007: ", Assert.Single(project.Build().Errors), StringComparison.Ordinal);
        Assert.False(File.Exists(baseline));

        project.Build("-p:ZqfpUpdateBaseline=true").Succeeded();
        string recorded = File.ReadAllText(baseline);
        Assert.Contains("\"model/model.onnx\"", recorded, StringComparison.Ordinal);
        Assert.Contains("against the baseline", Assert.Single(project.Build().Succeeded().Summaries), StringComparison.Ordinal);
        Assert.Empty(project.Build().Succeeded().Summaries);

        // As if the model had been better once: each loss lower than what is measured now.
        File.WriteAllText(
            baseline, System.Text.RegularExpressions.Regex.Replace(recorded, @"(?m)^(\s+)(\d)\.(\d+)(,?)$", "${1}0.${3}${4}"));
        Assert.Contains(": error ZQFP3006: ", Assert.Single(project.Build().Errors), StringComparison.Ordinal);

        project.Build("-p:ZqfpUpdateBaseline=true").Succeeded();
        Assert.Equal(recorded, File.ReadAllText(baseline));
    }

    [Fact]
    public void A_recipe_holds_the_options_and_a_change_of_it_alone_quantizes_again()
    {
        TestProject project = packages.CreateProject("recipe");
        project.Edit("Tokenizer=\"model/tokenizer.json\" Calibration=\"data/calibration.txt\" Evaluation=\"data/evaluation.txt\"",
            "Recipe=\"zqfp.json\"");
        project.Edit("Windows=\"2\" EvaluationWindows=\"2\" MaxPerplexityIncrease=\"50%\"", "");
        const string Recipe = """
            {
              "tokenizer": "model/tokenizer.json",
              "calibration": "data/calibration.txt",
              "evaluation": "data/evaluation.txt",
              "windows": 2,
              "evaluationWindows": 2,
              "method": "rtn",
              "preset": "paper",
              "rank": 0,
              "maxPerplexityIncrease": "50%"
            }
            """;
        File.WriteAllText(project.Path("zqfp.json"), Recipe);

        Assert.Single(project.Build().Succeeded().Summaries);
        Assert.Empty(project.Build().Succeeded().Summaries);
        File.WriteAllText(project.Path("zqfp.json"), Recipe.Replace("\"rank\": 0", "\"groupSize\": 128", StringComparison.Ordinal));
        Assert.Contains("g128", Assert.Single(project.Build().Succeeded().Summaries), StringComparison.Ordinal);
    }
}
