using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>One layer quantized: what goes into the model, and what to say about it.</summary>
/// <param name="Tensors">What goes into the model.</param>
/// <param name="OutputError">Squared error of the layer's output, mean over the calibration tokens; null without calibration.</param>
/// <param name="Activations">What its input ranged over in calibration; null without.</param>
/// <param name="Warnings">What the user should know.</param>
internal sealed record QuantizedLayerResult(
    QuantizedLayerTensors Tensors, double? OutputError, ActivationRange? Activations, IReadOnlyList<Diagnostic> Warnings)
{
    /// <summary>The ridge of its float target, see <see cref="LayerReport.Ridge"/>.</summary>
    public double? Ridge { get; init; }

    /// <summary>Calibration tokens that a router sent it, see <see cref="LayerReport.Tokens"/>.</summary>
    public long? Tokens { get; init; }

    /// <summary>The layer's line of the report about a file of <paramref name="profile"/>.</summary>
    public LayerReport Report(EmissionProfile profile)
    {
        LinearLayer layer = Tensors.Layer;
        LayerBytes bytes = Bytes(profile);
        double bits = 8.0 * (bytes.Codes + bytes.Scales + bytes.Correction) / ((double)layer.OutFeatures * layer.InFeatures);
        return new LayerReport(layer.Name, layer.OutFeatures, layer.InFeatures, Tensors.Rank, bits, OutputError)
        {
            Module = layer.Module,
            SharesWeightOf = layer.SharesWeightOf,
            Bytes = bytes,
            Activations = Activations,
            Rotation = Tensors.Rotation,
            Ridge = Ridge,
            Tokens = Tokens,
        };
    }

    private LayerBytes Bytes(EmissionProfile profile)
    {
        long factors = 2L * ((Tensors.Layer.JoinedTo is null ? Tensors.Down.Length : 0) + Tensors.Up.Length);
        if (profile == EmissionProfile.Stock)
        {
            var layout = StockLayout.Of(Tensors);
            return new LayerBytes(layout.CodeBytes, layout.ScaleBytes, factors);
        }

        return new LayerBytes(Tensors.Codes.Length, (4L * Tensors.Scales.Length) + (Tensors.Exponents?.Length ?? 0), factors);
    }

    /// <summary>The same weight for another layer that has it too: what was measured and said concerns the first alone.</summary>
    public QuantizedLayerResult SharedWith(LinearLayer layer) => new(Tensors with { Layer = layer, Bias = null }, null, null, []);

    /// <summary>Puts the numbers into the shape the operators read.</summary>
    public static QuantizedLayerResult Of(LinearLayer layer, QuantizedLayer quantized, ActivationRange? read, ActivationFormat activations,
        int rotation, bool isSimulated, string modelPath)
    {
        QuantizedMatrix weights = quantized.Weights;
        LowRankFactors? factors = quantized.LowRank;
        var tensors = new QuantizedLayerTensors
        {
            Layer = layer,
            CodesType = isSimulated
                ? WeightCodes.Simulated
                : weights.Format == NumberFormat.E2M1 ? WeightCodes.Fp4E2M1
                : WeightCodes.Fp8E4M3,
            Codes = weights.Codes,
            Values = isSimulated ? Values(weights) : null,
            GroupSize = weights.GroupSize,
            Exponents = weights.Exponents is { } exponents ? exponents : default(ReadOnlyMemory<byte>?),
            Scales = weights.RowScales ?? weights.GroupScales!,
            Rank = factors?.Rank ?? 0,
            Down = Halves(factors?.Down),
            Up = Halves(factors?.Up),
            Activations = Rounding(activations),
            Rotation = rotation,
        };
        Diagnostic[] warnings =
        [
            .. quantized.Warnings.Select(warning => new Diagnostic(warning.Code, DiagnosticSeverity.Warning, warning.Message, modelPath))
        ];

        // H = (2 / tokens) sum x x^T, so tr(E H E^T) is twice the mean squared error.
        return new QuantizedLayerResult(tensors, read is not null ? quantized.Loss / 2 : null, read, warnings);
    }

    private static ActivationRounding Rounding(ActivationFormat activations) => activations switch
    {
        ActivationFormat.Fp8 => ActivationRounding.Fp8,
        ActivationFormat.Fp8E5M2 => ActivationRounding.Fp8E5M2,
        ActivationFormat.Int8 => ActivationRounding.Int8,
        _ => ActivationRounding.None,
    };

    private static ReadOnlyMemory<float>? Values(QuantizedMatrix weights)
    {
        float[] values = new float[(long)weights.Rows * weights.Columns];
        weights.Dequantize(values);
        return values;
    }

    private static Half[] Halves(float[]? values) => values is null ? [] : Array.ConvertAll(values, value => (Half)value);
}
