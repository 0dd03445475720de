using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Zqfp.Tool;

namespace Zqfp.Tests;

/// <summary>Whole jobs on the sample model, in a process of their own.</summary>
public sealed class JobTests : IDisposable
{
    private static readonly string Model = Repository.Path("samples/ModelProject/model/model.onnx");
    private static readonly string Tokenizer = Repository.Path("samples/ModelProject/model/tokenizer.json");
    private static readonly string Calibration = Repository.Path("samples/ModelProject/data/tinystories-calibration.txt");
    private static readonly string Evaluation = Repository.Path("samples/ModelProject/data/tinystories-evaluation.txt");

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp tool é;@ ").FullName;

    private string Output => Path.Combine(_folder, "out", "model.onnx");

    [Fact]
    public void Evaluate_measures_the_float_model()
    {
        ToolProcess result = ToolProcess.Run("evaluate", Model, "--text", Evaluation, "--tokenizer", Tokenizer, "--windows", "8", "--json");

        Assert.Equal(0, result.ExitCode);
        JsonElement json = JsonDocument.Parse(result.Output).RootElement;
        Assert.Equal(8, json.GetProperty("windows").GetInt32());
        Assert.True(json.GetProperty("tokens").GetInt64() > 8 * 512);
        Assert.InRange(json.GetProperty("perplexity").GetDouble(), 4, 6);
    }

    [Fact]
    public void Quantize_then_gate_passes_and_a_stricter_limit_fails()
    {
        ToolProcess quantized = ToolProcess.Run("quantize", Model, "-o", Output, "--tokenizer", Tokenizer, "--calibration", Calibration, "--windows", "4");

        Assert.True(quantized.ExitCode == 0, quantized.Error);
        Assert.Single(quantized.Output.TrimEnd().Split('\n'));
        Assert.Equal(["model.onnx", "model.onnx.data"], Directory.GetFiles(Path.GetDirectoryName(Output)!).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        string cache = Path.Combine(_folder, "cache");
        string[] gate = ["gate", Output, "--against", Model, "--text", Evaluation, "--tokenizer", Tokenizer, "--windows", "4", "--cache", cache];
        ToolProcess passed = ToolProcess.Run([.. gate, "--max-increase", "50%"]);
        Assert.True(passed.ExitCode == 0, passed.Error);
        Assert.Contains("perplexity", Assert.Single(passed.Output.TrimEnd().Split('\n')), StringComparison.Ordinal);

        var clock = Stopwatch.StartNew();
        ToolProcess failed = ToolProcess.Run([.. gate, "--max-increase", "0%"]);
        clock.Stop();
        Assert.Equal(20, failed.ExitCode);
        Assert.Contains(" : error ZQFP3001: ", Assert.Single(failed.Errors), StringComparison.Ordinal);
        Assert.DoesNotContain("Evaluating", failed.Error, StringComparison.Ordinal);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"Another limit took {clock.Elapsed}.");
    }

    [Theory]
    [InlineData("missing.onnx", null, null, 10, "ZQFP0001")]
    [InlineData("corrupt.onnx", null, null, 11, "ZQFP1001")]
    [InlineData(null, "missing.json", null, 10, "ZQFP0")]
    [InlineData(null, "corrupt.json", null, 10, "ZQFP0")]
    [InlineData(null, null, "missing.txt", 10, "ZQFP0")]
    [InlineData(null, null, "empty.txt", 10, "ZQFP0")]
    public void A_bad_input_is_one_coded_error_and_nothing_is_written(string? model, string? tokenizer, string? calibration, int exitCode, string code)
    {
        File.WriteAllText(Path.Combine(_folder, "corrupt.onnx"), "version https://git-lfs.github.com/spec/v1\n");
        File.WriteAllText(Path.Combine(_folder, "corrupt.json"), "{ \"model\": ");
        File.WriteAllText(Path.Combine(_folder, "empty.txt"), "");

        ToolProcess result = ToolProcess.Run(
            "quantize", Bad(model) ?? Model, "-o", Output, "--tokenizer", Bad(tokenizer) ?? Tokenizer, "--calibration", Bad(calibration) ?? Calibration, "--windows", "2");

        string error = Assert.Single(result.Errors);
        Assert.Contains($" : error {code}", error, StringComparison.Ordinal);
        Assert.Equal((exitCode, ""), (result.ExitCode, result.Output));
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.GetDirectoryName(Output)) && Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(Output)!).Any());
    }

    [UnixFact]
    public void Cancelling_stops_within_seconds_and_leaves_no_output()
    {
        using Process process = ToolProcess.Start("quantize", Model, "-o", Output, "--tokenizer", Tokenizer, "--calibration", Calibration);
        string? first = process.StandardError.ReadLine();
        Interrupt(process);
        var clock = Stopwatch.StartNew();
        ToolProcess result = ToolProcess.Finish(process);

        Assert.True(result.ExitCode == 130, first + result.Error);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"Stopping took {clock.Elapsed}.");
        Assert.EndsWith("Cancelled.", result.Error.TrimEnd(), StringComparison.Ordinal);
        Assert.False(File.Exists(Output));
        Assert.Empty(Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories));
    }

    [UnixFact]
    public void Quantizations_wait_for_each_other_and_waiting_can_be_cancelled()
    {
        Process process;
        using (QuantizationLock.Acquire(() => { }, CancellationToken.None))
        {
            process = ToolProcess.Start("quantize", Model, "-o", Output, "--tokenizer", Tokenizer, "--calibration", Calibration);
            Assert.StartsWith("Waiting", process.StandardError.ReadLine(), StringComparison.Ordinal);
            Interrupt(process);
            Assert.Equal(130, ToolProcess.Finish(process).ExitCode);
        }

        process.Dispose();
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void Interrupt(Process process)
    {
        using Process kill = Process.Start("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private string? Bad(string? name) => name is null ? null : Path.Combine(_folder, name);
}
