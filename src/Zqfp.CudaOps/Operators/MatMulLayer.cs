using Zqfp.CudaOps.Cpu;
using Zqfp.OnnxRuntime;
using Zqfp.OnnxRuntime.Operators;

namespace Zqfp.CudaOps.Operators;

/// <summary>What a matrix product's node holds: its constants, checked and packed.</summary>
/// <param name="Weights">W with its scales.</param>
/// <param name="Bias">N values filled up to whole panels.</param>
/// <param name="LowRank">The low-rank branch, if there is one.</param>
/// <param name="OutputType">Float or float16.</param>
internal sealed record MatMulLayer(PackedWeights Weights, NativeBuffer Bias, LowRankBranch? LowRank, OrtElementType OutputType) : IDisposable
{
    /// <summary>Reads and packs the constants of a node.</summary>
    /// <exception cref="OperatorException">The node breaks a rule of the operator.</exception>
    public static MatMulLayer Read(MatMulSignature signature, in OrtKernelInfo info)
    {
        OrtTensorView weights = Require.Constant(info, signature.WeightsInput, "W");
        if (!signature.Accepts(weights.ElementType))
        {
            throw new OperatorException(
                $"W must be of type {(signature.Weights == WeightFormat.E4M3 ? "FLOAT8E4M3FN" : "FLOAT4E2M1 or UINT4")}; it is {weights.ElementType}.");
        }
        if (weights.Shape.Length != 2)
        {
            throw new OperatorException($"W must be [N, K]; it is {Require.Text(weights.Shape)}.");
        }
        int rows = checked((int)weights.Shape[0]);
        int columns = checked((int)weights.Shape[1]);
        long groupSize = info.GetInt64(OperatorNames.GroupSize, columns);
        if (groupSize < 1)
        {
            throw new OperatorException($"Attribute group_size must be at least 1; it is {groupSize}.");
        }
        var outputType = (OrtElementType)info.GetInt64(OperatorNames.OutputType, (long)OrtElementType.Float);
        if (outputType is not (OrtElementType.Float or OrtElementType.Float16))
        {
            throw new OperatorException($"Attribute dtype must be 1 (float) or 10 (float16); it is {(int)outputType}.");
        }
        var layout = new GroupLayout(columns, (int)Math.Min(groupSize, Math.Max(columns, 1)));
        return new MatMulLayer(
            ReadWeights(signature, info, weights, layout),
            ReadBias(Require.OptionalConstant(info, signature.BiasInput, "bias"), rows),
            ReadFactors(info, signature, rows, layout),
            outputType);
    }

    public void Dispose()
    {
        Weights.Dispose();
        Bias.Dispose();
        LowRank?.Dispose();
    }

    private static PackedWeights ReadWeights(MatMulSignature signature, in OrtKernelInfo info, in OrtTensorView weights, GroupLayout layout)
    {
        int rows = (int)weights.Shape[0];
        OrtTensorView scales = Require.Constant(info, signature.ScalesInput, signature.PowerOfTwoScales ? "E" : "Scales");
        Require.Shape(scales, signature.PowerOfTwoScales ? "E" : "Scales", "[N, ceil(K / group_size)]", rows, layout.Groups);
        if (!signature.PowerOfTwoScales)
        {
            Require.Type(scales, "Scales", OrtElementType.Float);
            return PackedWeights.FromScales(signature.Weights, weights.AsSpan<byte>(), scales.AsSpan<float>(), rows, layout);
        }
        OrtTensorView rowScales = Require.Constant(info, signature.RowScalesInput, "S");
        Require.Type(scales, "E", OrtElementType.UInt8);
        Require.Type(rowScales, "S", OrtElementType.Float);
        Require.Shape(rowScales, "S", "[N]", rows);
        return PackedWeights.FromExponents(signature.Weights, weights.AsSpan<byte>(), scales.AsSpan<byte>(), rowScales.AsSpan<float>(), rows, layout);
    }

    private static unsafe NativeBuffer ReadBias(in OrtTensorView bias, int rows)
    {
        int panels = (rows + PackedWeights.PanelWidth - 1) / PackedWeights.PanelWidth;
        var padded = new NativeBuffer((long)panels * PackedWeights.PanelWidth * sizeof(float));
        if (bias.IsPresent)
        {
            Require.Shape(bias, "bias", "[N]", rows);
            using NativeBuffer values = Require.Floats(bias, "bias");
            Buffer.MemoryCopy(values.Bytes, padded.Bytes, padded.ByteLength, values.ByteLength);
        }
        return padded;
    }

    private static LowRankBranch? ReadFactors(in OrtKernelInfo info, MatMulSignature signature, int rows, GroupLayout layout)
    {
        OrtTensorView a = Require.OptionalConstant(info, signature.FactorAInput, "A");
        OrtTensorView b = Require.OptionalConstant(info, signature.FactorBInput, "B");
        if (a.IsPresent != b.IsPresent)
        {
            throw new OperatorException("A and B are given together or not at all.");
        }
        if (!a.IsPresent)
        {
            return null;
        }
        if (a.Shape.Length != 2)
        {
            throw new OperatorException($"A must be [r, K]; it is {Require.Text(a.Shape)}.");
        }
        int rank = checked((int)a.Shape[0]);
        Require.Shape(a, "A", "[r, K]", rank, layout.Columns);
        Require.Shape(b, "B", "[N, r]", rows, rank);
        using NativeBuffer factorA = Require.Floats(a, "A");
        using NativeBuffer factorB = Require.Floats(b, "B");
        return rank == 0 ? null : new LowRankBranch(factorA, factorB, rank, rows, layout);
    }
}
