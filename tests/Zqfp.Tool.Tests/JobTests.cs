using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Zqfp.Tool.Tests;

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
        ToolProcess quantized = ToolProcess.Run("quantize", Model, "-o", Output, "--tokenizer", Tokenizer, "--calibration",
            Calibration, "--windows", "4");

        Assert.True(quantized.ExitCode == 0, quantized.Error);
        Assert.Single(quantized.Output.TrimEnd().Split('\n'));
        Assert.Equal(["model.onnx", "model.onnx.data"],
            Directory.GetFiles(Path.GetDirectoryName(Output)!).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        string cache = Path.Combine(_folder, "cache");
        string[] gate =
        [
            "gate", Output, "--against", Model, "--text", Evaluation, "--tokenizer", Tokenizer, "--windows", "4", "--cache", cache
        ];
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

    [Fact]
    public void A_model_against_itself_is_identical_and_loses_nothing()
    {
        ToolProcess verified = ToolProcess.Run("verify", Model, Model, "--window", "16", "--windows", "2", "--json");
        Assert.Equal(0, verified.ExitCode);
        Assert.True(JsonDocument.Parse(verified.Output).RootElement.GetProperty("identical").GetBoolean());

        ToolProcess evaluated = ToolProcess.Run("evaluate", Model, "--against", Model, "--text", Evaluation, "--tokenizer",
            Tokenizer, "--window", "32", "--windows", "8", "--json");
        Assert.Equal(0, evaluated.ExitCode);
        JsonElement comparison = JsonDocument.Parse(evaluated.Output).RootElement.GetProperty("against");
        Assert.Equal(0, comparison.GetProperty("perplexityIncrease").GetDouble());
        Assert.Equal(0, comparison.GetProperty("increaseInterval").GetProperty("high").GetDouble());
        Assert.Equal(1, comparison.GetProperty("divergence").GetProperty("top1Agreement").GetDouble());
    }

    [Fact]
    public void A_bench_tells_what_it_ran_on()
    {
        ToolProcess timed = ToolProcess.Run("bench", Model, "--prompt", "8", "--tokens", "2", "--rounds", "1", "--json");
        Assert.True(timed.ExitCode == 0, timed.Error);
        JsonElement result = JsonDocument.Parse(timed.Output).RootElement;
        Assert.Equal("cpu", result.GetProperty("device").GetString());
        Assert.NotEqual("", result.GetProperty("processor").GetString());
        Assert.True(result.GetProperty("tokensPerSecond").GetDouble() > 0);
        Assert.True(result.GetProperty("promptTokensPerSecond").GetDouble() > 0);
    }

    [Fact]
    public void Inspecting_planning_and_a_dry_run_write_a_result_and_no_file()
    {
        ToolProcess inspected = ToolProcess.Run("inspect", Model);
        Assert.Equal((0, ""), (inspected.ExitCode, inspected.Error));
        Assert.Contains("28 of 29 products would be quantized", inspected.Output, StringComparison.Ordinal);
        Assert.Equal(
            29, JsonDocument.Parse(ToolProcess.Run("inspect", Model, "--json").Output).RootElement.GetProperty("layers").GetArrayLength());

        ToolProcess planned = ToolProcess.Run("quantize", Model, "-o", Output, "--tokenizer", Tokenizer, "--calibration",
            Calibration, "--windows", "4", "--dry-run", "--json");
        Assert.Equal((0, ""), (planned.ExitCode, planned.Error));
        Assert.Equal(4, JsonDocument.Parse(planned.Output).RootElement.GetProperty("calibrationWindows").GetInt32());
        Assert.Contains("assumed: no text is named", ToolProcess.Run("plan", Model).Output, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
    }

    [Fact]
    public void The_doctor_fails_only_where_quantizing_is_impossible()
    {
        Assert.Equal(0, ToolProcess.Run("doctor").ExitCode);
        ToolProcess broken = ToolProcess.Run(new Dictionary<string, string> { ["ZQFP_ONNXRUNTIME"] = Path.Combine(_folder, "none.so") },
            "doctor", "--json");

        Assert.Equal(14, broken.ExitCode);
        JsonElement json = JsonDocument.Parse(broken.Output).RootElement;
        Assert.False(json.GetProperty("canQuantize").GetBoolean());
        Assert.Equal("ZQFP4003", json.GetProperty("checks")[1].GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("missing.onnx", null, null, 10, "ZQFP0001")]
    [InlineData("corrupt.onnx", null, null, 11, "ZQFP1001")]
    [InlineData(null, "missing.json", null, 10, "ZQFP0")]
    [InlineData(null, "corrupt.json", null, 10, "ZQFP0")]
    [InlineData(null, null, "missing.txt", 10, "ZQFP0")]
    [InlineData(null, null, "empty.txt", 10, "ZQFP0")]
    public void A_bad_input_is_one_coded_error_and_nothing_is_written(
        string? model, string? tokenizer, string? calibration, int exitCode, string code)
    {
        File.WriteAllText(Path.Combine(_folder, "corrupt.onnx"), "version https://git-lfs.github.com/spec/v1\n");
        File.WriteAllText(Path.Combine(_folder, "corrupt.json"), "{ \"model\": ");
        File.WriteAllText(Path.Combine(_folder, "empty.txt"), "");

        ToolProcess result = ToolProcess.Run(
            "quantize", Bad(model) ?? Model, "-o", Output, "--tokenizer", Bad(tokenizer) ?? Tokenizer, "--calibration",
            Bad(calibration) ?? Calibration, "--windows", "2");

        string error = Assert.Single(result.Errors);
        Assert.Contains($" : error {code}", error, StringComparison.Ordinal);
        Assert.Equal((exitCode, ""), (result.ExitCode, result.Output));
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.False(
            Directory.Exists(Path.GetDirectoryName(Output)) && Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(Output)!).Any());
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
        using (QuantizationLock.Acquire("other/model.onnx", CancellationToken.None))
        {
            process = ToolProcess.Start("quantize", Model, "-o", Output, "--tokenizer", Tokenizer, "--calibration", Calibration);
            Assert.Equal(
                $"note: Waiting for another quantization to end: process {Environment.ProcessId}, which writes "
                + $"'{Path.GetFullPath("other/model.onnx")}'.",
                process.StandardError.ReadLine());
            Interrupt(process);
            Assert.Equal(130, ToolProcess.Finish(process).ExitCode);
        }

        process.Dispose();
    }

    [Theory]
    [InlineData("ZQFP0001", "missing.onnx", null, null)]
    [InlineData("ZQFP0101", null, "missing.json", null)]
    [InlineData("ZQFP0109", null, null, "missing.txt")]
    public void Mistakes_are_told_before_any_waiting(string code, string? model, string? tokenizer, string? calibration)
    {
        using (QuantizationLock.Acquire("other/model.onnx", CancellationToken.None))
        {
            ToolProcess result = ToolProcess.Run(
                "quantize", Bad(model) ?? Model, "-o", Output, "--tokenizer", Bad(tokenizer) ?? Tokenizer, "--calibration",
                Bad(calibration) ?? Calibration);
            Assert.Contains(code, Assert.Single(result.Errors), StringComparison.Ordinal);
            Assert.DoesNotContain("Waiting", result.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_model_that_is_quantized_already_is_told_so_whatever_the_output()
    {
        Assert.Equal(0, ToolProcess.Run("quantize", Model, "-o", Output, "--method", "rtn", "--preset", "paper").ExitCode);
        foreach (string[] command in (string[][])[["quantize", Output, "-o", Output], ["plan", Output], ["plan", Output, "-o", Output]])
        {
            ToolProcess result = ToolProcess.Run([.. command, "--calibration", Calibration, "--tokenizer", Tokenizer]);
            Assert.Equal(10, result.ExitCode);
            Assert.Contains("ZQFP0014: The model is quantized already: FP4 E2M1", Assert.Single(result.Errors), StringComparison.Ordinal);
        }
    }

    [UnixFact]
    public void An_output_that_cannot_be_written_is_no_fault_of_the_work_folder()
    {
        foreach (string output in (string[])["/proc/quantized/model.onnx", Path.Combine(Calibration, "model.onnx")])
        {
            ToolProcess result = ToolProcess.Run("quantize", Model, "-o", output, "--tokenizer", Tokenizer, "--calibration", Calibration);
            string error = Assert.Single(result.Errors);
            Assert.Contains("ZQFP0002", error, StringComparison.Ordinal);
            Assert.Contains("--output", error, StringComparison.Ordinal);
            Assert.DoesNotContain("--work", error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_correction_larger_than_the_weights_is_a_warning_with_the_bits()
    {
        ToolProcess result = ToolProcess.Run("plan", Model, "--rank", "1000");
        Assert.Matches(@"warning ZQFP0017: The low-rank corrections take \d+\.\d bits a weight beside the 4\.0 of the weights",
            result.Error);
        Assert.DoesNotContain("ZQFP0017", ToolProcess.Run("plan", Model).Error, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void Interrupt(Process process)
    {
        using Process kill = Process.Start("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private string? Bad(string? name) => name is null ? null : Path.Combine(_folder, name);
}
