using System.Text.Json;
using System.Text.Json.Serialization;
using Zqfp.OnnxRewriter.Tensors;
using Zqfp.Pipeline.Diagnostics;
using Zqfp.Pipeline.Gate;
using Zqfp.Pipeline.Quantize;

namespace Zqfp.Pipeline.Report;

/// <summary>Makes one HTML file of what quantizing and measuring a model gave. It needs no network and no other file.</summary>
public static class ReportJob
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    /// <summary>Writes the report. The same results give the same bytes.</summary>
    /// <exception cref="PipelineException">ZQFP0011: a file is no result of this tool. ZQFP0002: the report cannot be written.</exception>
    public static void Write(ReportOptions options)
    {
        QuantizeReport quantization = Read<QuantizeReport>(options.QuantizationPath, "quantize --json");
        GateResult? gate = options.GatePath is null ? null : Read<GateResult>(options.GatePath, "gate --json");
        if (((string?[])[options.QuantizationPath, options.GatePath]).OfType<string>().Any(input => RealPath.AreSame(input, options.OutputPath)))
        {
            throw new PipelineException("ZQFP0002", "The report would overwrite what it is made from. Choose another --output.", options.OutputPath);
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(options.OutputPath))!);
            File.WriteAllText(options.OutputPath, HtmlReport.Render(quantization, gate));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PipelineException("ZQFP0002", $"The report cannot be written: {e.Message}", options.OutputPath, e);
        }
    }

    private static T Read<T>(string path, string source)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllText(path), Json) ?? throw new JsonException("It holds nothing.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new PipelineException("ZQFP0011", $"'{path}' is not what 'dotnet zqfp {source}' writes: {e.Message}", path, e);
        }
    }
}
