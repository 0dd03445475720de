using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What a quantized layer takes, known before it is quantized.</summary>
internal static class QuantizedSize
{
    /// <summary>Bytes that replace a layer's weight in the operators' own form, as they are held while quantizing.</summary>
    public static long Bytes(LayerChoice choice) =>
        Bytes(choice.Options, choice.Layer.OutFeatures, choice.Layer.InFeatures) - SharedBytes(choice);

    /// <summary>Bytes that replace a layer's weight in a file of <paramref name="profile"/>.</summary>
    public static long Bytes(LayerChoice choice, EmissionProfile profile)
    {
        (QuantizationOptions options, int rows, int columns) = (choice.Options, choice.Layer.OutFeatures, choice.Layer.InFeatures);
        if (profile != EmissionProfile.Stock)
        {
            return Bytes(choice);
        }

        WeightCodes codes = options.Format == NumberFormat.E2M1 ? WeightCodes.Fp4E2M1 : WeightCodes.Fp8E4M3;
        var layout = StockLayout.Of(codes, rows, columns, options.GroupSize <= 0 ? columns : options.GroupSize);
        return layout.CodeBytes + layout.ScaleBytes + FactorBytes(options, rows, columns) - SharedBytes(choice);
    }

    /// <summary>Bytes of codes, exponents, scales and low-rank factors of a weight [rows, columns].</summary>
    public static long Bytes(QuantizationOptions options, int rows, int columns)
    {
        int group = options.GroupSize <= 0 ? columns : Math.Min(options.GroupSize, columns);
        long groups = (columns + group - 1) / group;
        long codes = (((long)rows * columns * options.Format.Bits) + 7) / 8;
        long scales = options.Constraint is ScaleConstraint.M2 or ScaleConstraint.Ue8M0
            ? rows * (groups + sizeof(float))
            : rows * groups * sizeof(float);
        return codes + scales + FactorBytes(options, rows, columns);
    }

    /// <summary>Bytes of the low-rank factors, in float16.</summary>
    private static long FactorBytes(QuantizationOptions options, int rows, int columns) =>
        2L * Rank(options, rows, columns) * ((long)rows + columns);

    /// <summary>Of these, bytes of a factor that another layer of the expert has too.</summary>
    private static long SharedBytes(LayerChoice choice) => choice.Layer.JoinedTo is null
        ? 0
        : 2L * Rank(choice.Options, choice.Layer.OutFeatures, choice.Layer.InFeatures) * choice.Layer.InFeatures;

    private static int Rank(QuantizationOptions options, int rows, int columns) => Math.Min(options.Rank, Math.Min(rows, columns));
}
