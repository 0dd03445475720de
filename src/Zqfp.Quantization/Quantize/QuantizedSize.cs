using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>What a quantized layer takes, known before it is quantized.</summary>
internal static class QuantizedSize
{
    /// <summary>Bytes that replace a layer's weight.</summary>
    public static long Bytes(LayerChoice choice) => Bytes(choice.Options, choice.Layer.OutFeatures, choice.Layer.InFeatures);

    /// <summary>Bytes of codes, exponents, scales and low-rank factors of a weight [rows, columns].</summary>
    public static long Bytes(QuantizationOptions options, int rows, int columns)
    {
        int group = options.GroupSize <= 0 ? columns : Math.Min(options.GroupSize, columns);
        long groups = (columns + group - 1) / group;
        long codes = (((long)rows * columns * options.Format.Bits) + 7) / 8;
        long scales = options.Constraint == ScaleConstraint.M2 ? rows * (groups + sizeof(float)) : rows * groups * sizeof(float);
        long rank = Math.Min(options.Rank, Math.Min(rows, columns));
        return codes + scales + (2 * rank * ((long)rows + columns));
    }
}
