using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Zqfp.Evaluation;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>Writes a job's result to standard output: one line, or JSON; and the JSON to a file, where one is named.</summary>
internal static class ResultWriter
{
    public static void Write(QuantizeReport report, bool json, string? file = null)
    {
        string text = JsonSerializer.Serialize(report, ResultJson.Readable.QuantizeReport);
        WriteFile(file, text);
        WriteLine(json ? text : Describe(report));
    }

    public static void Write(ShardReport report, bool json, string? file = null)
    {
        string text = JsonSerializer.Serialize(report, ResultJson.Readable.ShardReport);
        WriteFile(file, text);
        string kept = report.Kept > 0 ? string.Create(CultureInfo.InvariantCulture, $", {report.Kept} of them from an earlier run") : "";
        WriteLine(json ? text : string.Create(CultureInfo.InvariantCulture,
            $"shard {report.Shard}: {report.Recipe}, {report.Layers.Count} layers in '{report.WorkFolder}'{kept}"));
    }

    /// <summary>One text alone is written as its result; several, or tasks, as an object that has them all.</summary>
    public static void Write(Measurement result, bool json) => WriteLine((json, result) switch
    {
        (true, { Texts: [var one], Tasks.Count: 0 }) => JsonSerializer.Serialize(one.Result, ResultJson.Readable.EvaluationResult),
        (true, _) => JsonSerializer.Serialize(result, ResultJson.Readable.Measurement),
        _ => MeasurementText.Describe(result),
    });

    public static void Write(VerifyResult result, bool json) => WriteLine(json
        ? JsonSerializer.Serialize(result, ResultJson.Readable.VerifyResult)
        : Describe(result));

    public static void Write(BenchResult result, bool json) => WriteLine(json
        ? JsonSerializer.Serialize(result, ResultJson.Readable.BenchResult)
        : Describe(result));

    public static void Write(GateResult result, bool json, string? file = null)
    {
        // One line stays one line: it has a property of the model in it.
        result = result with { Summary = PrintableText.Line(result.Summary) };
        string text = JsonSerializer.Serialize(result, ResultJson.Readable.GateResult);
        WriteFile(file, text);
        WriteLine(json ? text : Style.Output.IsTerminal ? Describe(result) : result.Summary);
    }

    /// <summary>Text is broken to the terminal; JSON is not.</summary>
    private static void WriteLine(string text) =>
        Console.Out.WriteLine(text.StartsWith('{') ? text : Wrapping.Wrap(text, Style.Output.Width));

    /// <summary>The summary's parts one below the other, and the verdict; why it failed is a diagnostic.</summary>
    private static string Describe(GateResult result) =>
        result.Summary.Replace("; ", "\n  ", StringComparison.Ordinal)
            + (result.Passed ? "\n" + Style.Output.Paint("The gate passed.", Color.Green) : "");

    /// <summary>Somebody makes reports of it.</summary>
    private static void WriteFile(string? path, string json)
    {
        if (path is not null)
        {
            WholeFile.WriteText(path, json + "\n");
        }
    }

    private static string Describe(QuantizeReport report) =>
        string.Join("; ",
        [
            Summary(report),
            .. report.Budget is { } budget ? [Describe(budget)] : (string[])[],
            .. report.Coverage is { } coverage ? [coverage.Describe(), .. coverage.DescribeExceptions()] : (string[])[],
        ]);

    private static string Describe(BudgetReport budget) =>
        $"budget of {budget.Asked}: {budget.Plan}"
            + (budget.HeldOutIncrease is { } increase
                ? $", {SignedPercent.Fixed(increase)} on {budget.HeldOutWindows} calibration windows held out"
                : "")
            + $" (plan in {Path.GetFileName(budget.Recipe)})";

    private static string Summary(QuantizeReport report) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Path.GetFileName(report.Output)}: {report.Recipe}, {report.Layers.Count} layers, {report.BitsPerWeight:0.00} bits per weight, "
        + $"{Sizes.Megabytes(report.OriginalBytes)} -> {Sizes.Megabytes(report.QuantizedBytes)}");

    private static string Describe(BenchResult result) => string.Create(
        CultureInfo.InvariantCulture,
        $"prompt of {result.PromptTokens} tokens: {result.PromptTokensPerSecond:0.#} tokens/s ({result.PromptMilliseconds:0.##} ms); "
        + $"generation: {result.TokensPerSecond:0.#} tokens/s ({result.MillisecondsPerToken:0.###} ms a token), "
        + $"{(result.HasCache ? "key-value cache" : "no cache, all tokens computed again for each")}; medians of {result.Rounds} rounds on "
        + $"{(result.Gpu is null ? "" : $"{result.Gpu} and ")}{result.Processor} ({result.Kernels}, {result.Threads} threads), "
        + $"ONNX Runtime {result.OnnxRuntime}");

    private static string Describe(VerifyResult result) => result.Identical
        ? string.Create(
            CultureInfo.InvariantCulture, $"identical: every logit of {result.Tokens} tokens in {result.Windows} windows ({result.Input})")
        : string.Create(
            CultureInfo.InvariantCulture,
            $"logits differ by {result.LargestDifference:0.###e+0} at most, {result.MeanDifference:0.###e+0} in the mean; KL divergence "
            + $"{result.KullbackLeibler:0.###e+0} nats a token, {result.LargestKullbackLeibler:0.###e+0} at most; top-1 agreement "
            + $"{100 * result.Top1Agreement:0.00} % over {result.Tokens} tokens in {result.Windows} windows ({result.Input})");
}

/// <summary>The JSON of results: properties in camel case, values of enumerations as words.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, WriteIndented = true)]
[JsonSerializable(typeof(QuantizeReport))]
[JsonSerializable(typeof(ShardReport))]
[JsonSerializable(typeof(EvaluationResult))]
[JsonSerializable(typeof(Measurement))]
[JsonSerializable(typeof(GateResult))]
[JsonSerializable(typeof(InspectReport))]
[JsonSerializable(typeof(VerifyResult))]
[JsonSerializable(typeof(BenchResult))]
[JsonSerializable(typeof(DoctorReport))]
[JsonSerializable(typeof(QuantizePlan))]
internal sealed partial class ResultJson : JsonSerializerContext
{
    /// <summary>Paths and names are written as they are, not as escape sequences: the output is no HTML.</summary>
    public static ResultJson Readable =>
        new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
