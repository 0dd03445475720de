using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Zqfp.Tool.Tests;

/// <summary>A baseline that several projects share, updated by as many processes at once.</summary>
public sealed class SharedBaselineTests : IDisposable
{
    private const int Processes = 6;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp baseline ").FullName;

    private readonly string _models = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public SharedBaselineTests() => SampleModel.MarkQuantized(_models);

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        Directory.Delete(_models, recursive: true);
    }

    [Fact]
    public void No_update_of_a_baseline_is_lost_where_processes_write_at_once()
    {
        string baseline = Path.Combine(_folder, "zqfp.baseline.json");
        Assert.Equal(0, ToolProcess.Run(Gate(baseline, "first")).ExitCode);
        for (int round = 0; round < 3; round++)
        {
            string[] names = [.. Enumerable.Range(0, Processes).Select(i => string.Create(CultureInfo.InvariantCulture, $"{round}/{i}"))];
            Process[] running = [.. names.Select(name => ToolProcess.Start(Gate(baseline, name)))];
            Assert.All(running, process =>
            {
                using (process)
                {
                    ToolProcess result = ToolProcess.Finish(process);
                    Assert.True(result.ExitCode == 0, result.Error);
                }
            });
        }

        Dictionary<string, JsonElement> entries = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(File.ReadAllText(baseline))!;
        Assert.Equal(1 + (3 * Processes), entries.Count);
        Assert.Equal(["zqfp.baseline.json"], Directory.GetFiles(_folder).Select(Path.GetFileName));
    }

    /// <summary>A copy of the float model against it, from the cache: the processes reach the file at about the same time.</summary>
    private string[] Gate(string baseline, string name)
    {
        string model = Repository.Path("samples/ModelProject/model/model.onnx");
        return
        [
            "gate", Path.Combine(_models, "model.onnx"), "--against", model,
            "--text", Repository.Path("samples/ModelProject/data/tinystories-evaluation.txt"),
            "--tokenizer", Repository.Path("samples/ModelProject/model/tokenizer.json"), "--window", "32", "--windows", "2",
            "--cache", Path.Combine(_folder, "cache"), "--baseline", baseline, "--baseline-name", name, "--update-baseline",
        ];
    }
}
