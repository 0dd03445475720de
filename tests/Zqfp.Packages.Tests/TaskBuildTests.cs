using System.Text.Json;

namespace Zqfp.Packages.Tests;

/// <summary>A build gates what the model answers: right is what the sample's float model itself goes on with.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class TaskBuildTests(PackagesFixture packages)
{
    [Fact]
    public void A_task_passes_and_fails_the_gate_and_other_data_is_asked_again()
    {
        TestProject project = packages.CopyBuilt("tasks");
        File.WriteAllText(project.Path("data/greedy.json"), """
            {"type": "loglikelihood", "data": "greedy.jsonl", "context": "{{ context }}", "continuation": "{{ continuation }}"}
            """);
        File.Copy(Repository.Path("tests/Zqfp.Packages.Tests/Data/greedy.jsonl"), project.Path("data/greedy.jsonl"));
        project.Edit("MaxPerplexityIncrease=", "Tasks=\"data/greedy.json\" MaxDrop=\"100%\" MaxPerplexityIncrease=");

        project.Build().Succeeded();
        JsonElement task = Task(project);
        Assert.Equal(("greedy", 40), (task.GetProperty("name").GetString(), task.GetProperty("questions").GetInt32()));
        Assert.InRange(task.GetProperty("referenceAccuracy").GetDouble(), 0.9, 1);

        DotNetResult failed = project.Build("-p:ZqfpMaxDrop=0%");
        Assert.NotEqual(0, failed.ExitCode);
        Assert.Contains(": error ZQFP3017: ", Assert.Single(failed.Errors), StringComparison.Ordinal);

        string[] lines = File.ReadAllLines(project.Path("data/greedy.jsonl"));
        File.WriteAllLines(project.Path("data/greedy.jsonl"), lines[..8]);
        project.Build().Succeeded();
        Assert.Equal(8, Task(project).GetProperty("questions").GetInt32());
    }

    private static JsonElement Task(TestProject project)
    {
        using var result = JsonDocument.Parse(File.ReadAllText(project.Path("obj/zqfp/model/model.onnx/gate.json")));
        return result.RootElement.GetProperty("tasks")[0].Clone();
    }
}
