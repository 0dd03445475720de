using System.Globalization;
using System.Text.Json;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>Writes what a model is made of: a table with totals, or JSON.</summary>
internal static class InspectWriter
{
    public static void Write(InspectReport report, bool json) =>
        Console.Out.Write(json ? JsonSerializer.Serialize(report, ResultJson.Readable.InspectReport) + "\n" : Describe(report));

    private static string Describe(InspectReport report)
    {
        var table = new TextTable(["layer", "operator", "shape", "type", "bytes", "becomes"], 4);
        InspectedLayer[] rows = [.. report.Embeddings, .. Rows(report.Layers)];
        int digits = Grouped(rows.Max(layer => layer.QuantizedBytes) ?? 0).Length;
        foreach (InspectedLayer layer in rows)
        {
            string becomes = layer.QuantizedBytes is { } bytes ? Grouped(bytes).PadLeft(digits) : $"stays: {layer.Reason}";
            table.Add(layer.Module ?? layer.Name, layer.Operator, $"[{string.Join(", ", layer.Shape)}]", layer.Type,
                Grouped(layer.Bytes), becomes);
        }

        string opsets = string.Join(
            ", ", report.Opsets.Select(opset => opset.Key.Length > 0 ? $"{opset.Key} {opset.Value}" : $"{opset.Value}"));
        string[] head =
        [
            $"{report.Model}: IR version {report.IrVersion}, operator set "
            + $"{opsets}{(report.Producer.Length > 0 ? $", written by {report.Producer}" : "")}",
            $"reads {string.Join(", ", report.Inputs.Select(Describe))}",
            $"makes {string.Join(", ", report.Outputs.Select(Describe))}",
            .. report.Properties.Select(property => $"{property.Key}: {property.Value}"),
        ];
        string[] totals =
        [
            report.Coverage.Describe().Replace(" are quantized", " would be quantized", StringComparison.Ordinal),
            .. report.Coverage.DescribeExceptions().Select(exception => $"  {exception}"),
            string.Create(CultureInfo.InvariantCulture,
                $"{report.QuantizedLayers} of {report.Layers.Count} products would be quantized ({report.Recipe}):"),
            $"their weights {Sizes.Megabytes(report.QuantizableBytes)} -> {Sizes.Megabytes(report.QuantizedBytes)}, everything else "
            + $"{Sizes.Megabytes(report.OtherBytes)}, files {Sizes.Megabytes(report.FileBytes)} now",
        ];
        int? width = Style.Output.Width;
        return Wrapping.Wrap(string.Join('\n', head.Select(PrintableText.Line)), width) + "\n\n" + table.ToString(width) + "\n"
            + Wrapping.Wrap(string.Join('\n', totals), width) + "\n";
    }

    /// <summary>The layers, those experts of one product that become the same as one row.</summary>
    private static IEnumerable<InspectedLayer> Rows(IReadOnlyList<InspectedLayer> layers)
    {
        foreach (IGrouping<(string? Group, int Row, string? Reason), (InspectedLayer Layer, int Row)> group in layers
            .Select((layer, i) => (Layer: layer, Row: layer.Group is null ? i : -1))
            .GroupBy(entry => (entry.Layer.Group, entry.Row, entry.Layer.Reason)))
        {
            InspectedLayer[] all = [.. group.Select(entry => entry.Layer)];
            yield return all is [var single] ? single : all[0] with
            {
                Module = all.Length == all[0].Experts
                    ? group.Key.Group
                    : string.Create(CultureInfo.InvariantCulture, $"{group.Key.Group} ({all.Length} of {all[0].Experts})"),
                Shape = [all.Length, .. all[0].Shape],
                Bytes = all.Sum(layer => layer.Bytes),
                QuantizedBytes = all.Sum(layer => layer.QuantizedBytes),
            };
        }
    }

    private static string Describe(InspectedValue value) => $"{value.Name} {value.Type}[{string.Join(", ", value.Shape)}]";

    private static string Grouped(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
