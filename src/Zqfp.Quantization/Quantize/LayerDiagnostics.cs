using System.Globalization;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What is said about layers. One cause that many layers share is one warning, with their number.</summary>
internal static class LayerDiagnostics
{
    /// <summary>Code of the warning about a layer that no calibration token reaches.</summary>
    public const string UnseenCode = "ZQFP2104";

    private const int Named = 4;

    /// <summary>The warning about a layer that no calibration token reaches.</summary>
    public static Diagnostic Unseen(LinearLayer layer, string modelPath) => new(
        UnseenCode,
        DiagnosticSeverity.Warning,
        $"Layer '{layer.DisplayName}': no calibration token reaches it, so its weights are rounded to nearest. Calibrate with more varied "
        + "text if the model will use it.",
        modelPath);

    /// <summary>The warnings of all layers, in the layers' order: what concerns one layer as it is, else each cause once.</summary>
    public static IEnumerable<Diagnostic> Merge(IReadOnlyList<QuantizedLayerResult> layers, string modelPath)
    {
        (string Layer, Diagnostic Warning)[] all =
        [
            .. layers.SelectMany(layer => layer.Warnings.Select(warning => (layer.Tensors.Layer.DisplayName, warning)))
        ];
        foreach (IGrouping<string, (string Layer, Diagnostic Warning)> cause in all.GroupBy(entry => entry.Warning.Code))
        {
            (string Layer, Diagnostic Warning)[] entries = [.. cause];
            string? what = cause.Key switch
            {
                DiagnosticCodes.DeadColumns =>
                    "have input columns that were 0 for every calibration token; their weights are rounded to nearest",
                UnseenCode => "are reached by no calibration token, so their weights are rounded to nearest",
                _ => null,
            };
            if (what is null || entries.Length == 1)
            {
                // What is said of layers that were quantized as one matrix is said once.
                foreach (Diagnostic warning in entries.Select(entry => entry.Warning).Distinct())
                {
                    yield return warning;
                }
            }
            else
            {
                string names = string.Join(", ", entries.Take(Named).Select(entry => $"'{entry.Layer}'"));
                string rest = entries.Length > Named
                    ? string.Create(CultureInfo.InvariantCulture, $" and {entries.Length - Named} more")
                    : "";
                yield return new Diagnostic(
                    cause.Key,
                    DiagnosticSeverity.Warning,
                    string.Create(CultureInfo.InvariantCulture,
                        $"{entries.Length} layers {what}: {names}{rest}. If that is no property of the model, calibrate with more varied "
                        + $"text."),
                    modelPath);
            }
        }
    }
}
