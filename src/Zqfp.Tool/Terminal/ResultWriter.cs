using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Zqfp.Pipeline.Evaluate;
using Zqfp.Pipeline.Gate;
using Zqfp.Pipeline.Inspect;
using Zqfp.Pipeline.Quantize;

namespace Zqfp.Tool.Terminal;

/// <summary>Writes a job's result to standard output: one line, or JSON.</summary>
internal static class ResultWriter
{
    public static void Write(QuantizeReport report, bool json) => Console.Out.WriteLine(json
        ? JsonSerializer.Serialize(report, ResultJson.Readable.QuantizeReport)
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{Path.GetFileName(report.Output)}: {report.Recipe}, {report.Layers.Count} layers, {report.BitsPerWeight:0.00} bits per weight, {Sizes.Megabytes(report.OriginalBytes)} -> {Sizes.Megabytes(report.QuantizedBytes)}"));

    public static void Write(EvaluationResult result, bool json) => Console.Out.WriteLine(json
        ? JsonSerializer.Serialize(result, ResultJson.Readable.EvaluationResult)
        : string.Create(
            CultureInfo.InvariantCulture,
            $"perplexity {result.Perplexity:0.0000} over {result.Windows} windows of {result.Window} tokens ({result.Tokens} tokens in the text)"));

    public static void Write(GateResult result, bool json) => Console.Out.WriteLine(json
        ? JsonSerializer.Serialize(result, ResultJson.Readable.GateResult)
        : result.Summary);
}

/// <summary>The JSON of results: properties in camel case, values of enumerations as words.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, WriteIndented = true)]
[JsonSerializable(typeof(QuantizeReport))]
[JsonSerializable(typeof(EvaluationResult))]
[JsonSerializable(typeof(GateResult))]
[JsonSerializable(typeof(InspectReport))]
internal sealed partial class ResultJson : JsonSerializerContext
{
    /// <summary>Paths and names are written as they are, not as escape sequences: the output is no HTML.</summary>
    public static ResultJson Readable => new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
