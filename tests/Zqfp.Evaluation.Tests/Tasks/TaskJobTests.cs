using System.Text.Json;

namespace Zqfp.Evaluation.Tests;

/// <summary>Scores against those of lm-evaluation-harness, item by item.</summary>
public sealed class TaskJobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [ReferenceTheory("golden/tasks.json")]
    [InlineData("story_next", "tinystories-llama-3.7m")]
    [InlineData("story_last_word", "tinystories-llama-3.7m")]
    public void Scores_are_those_of_the_harness(string task, string model) =>
        Compare(task, model, SampleModel.Model, SampleModel.Tokenizer);

    private void Compare(string task, string model, string path, string tokenizer)
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Repository.Reference("golden/tasks.json")));
        JsonElement expected = golden.RootElement.GetProperty("tasks").GetProperty(task);
        JsonElement scores = expected.GetProperty("models").GetProperty(model);

        TaskResult result = TaskJob.Run(
            new TaskOptions(new MeasureOptions { ModelPath = path, TokenizerPath = tokenizer }, [Write(task, expected)]),
            new SilentObserver(), CancellationToken.None).Single();

        foreach (JsonProperty metric in scores.GetProperty("metrics").EnumerateObject())
        {
            Assert.Equal(metric.Value.GetDouble(), result.Metrics.Single(known => known.Name == metric.Name).Value, 2);
        }

        JsonElement[] items = [.. scores.GetProperty("items").EnumerateArray()];
        Assert.Equal(items.Length, result.Items.Count);
        foreach ((JsonElement item, TaskItemScore score) in items.Zip(result.Items))
        {
            JsonElement[] requests = [.. item.EnumerateArray()];
            Assert.Equal(requests.Select(request => request[1].GetBoolean()), score.Requests.Select(request => request.IsGreedy));
            Assert.All(requests.Zip(score.Requests),
                pair => Assert.InRange(pair.Second.LogLikelihood - pair.First[0].GetDouble(), -1e-3, 1e-3));
        }
    }

    /// <summary>The task as a task file: the reference keeps it in the same words.</summary>
    private string Write(string name, JsonElement golden)
    {
        string text(string key) => golden.TryGetProperty(key, out JsonElement value) ? value.GetString()! : "";
        Dictionary<string, string> task = new()
        {
            ["type"] = text("type"),
            ["data"] = Repository.Reference(Path.Combine("golden", text("file"))),
            ["context"] = text("context"),
            ["continuation"] = text("continuation"),
        };
        if (text("type") == "multiple_choice")
        {
            task["choices"] = "choices";
            task["target"] = text("target");
        }

        string path = Path.Combine(_folder, $"{name}.json");
        File.WriteAllText(path, JsonSerializer.Serialize(task));
        return path;
    }
}
