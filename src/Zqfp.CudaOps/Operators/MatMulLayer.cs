
namespace Zqfp.CudaOps;

/// <summary>What a matrix product's node holds on the CPU: its constants, checked and packed.</summary>
/// <param name="Weights">W with its scales.</param>
/// <param name="Bias">N values filled up to whole panels.</param>
/// <param name="LowRank">The low-rank branch, if there is one.</param>
/// <param name="OutputType">Float or float16.</param>
internal sealed record MatMulLayer(PackedWeights Weights, NativeBuffer Bias, LowRankBranch? LowRank, OrtElementType OutputType)
    : IDisposable
{
    /// <summary>Reads and packs the constants of a node.</summary>
    /// <exception cref="ZqfpException">The node breaks a rule of the operator.</exception>
    public static MatMulLayer Read(MatMulSignature signature, in OrtKernelInfo info)
    {
        MatMulConstants constants = MatMulConstants.Read(signature, info);
        return new MatMulLayer(PackWeights(signature, constants), PadBias(constants), PackFactors(constants), constants.OutputType);
    }

    public void Dispose()
    {
        Weights.Dispose();
        Bias.Dispose();
        LowRank?.Dispose();
    }

    private static PackedWeights PackWeights(MatMulSignature signature, in MatMulConstants constants)
    {
        Span<byte> codes = constants.Weights.AsSpan<byte>();
        return signature.PowerOfTwoScales
            ? PackedWeights.FromExponents(signature.Weights, codes, constants.Scales.AsSpan<byte>(), constants.RowScales.AsSpan<float>(),
                constants.Rows, constants.Layout)
            : PackedWeights.FromScales(signature.Weights, codes, constants.Scales.AsSpan<float>(), constants.Rows, constants.Layout);
    }

    private static unsafe NativeBuffer PadBias(in MatMulConstants constants)
    {
        int panels = (constants.Rows + PackedWeights.PanelWidth - 1) / PackedWeights.PanelWidth;
        var padded = new NativeBuffer((long)panels * PackedWeights.PanelWidth * sizeof(float));
        if (constants.Bias.IsPresent)
        {
            using NativeBuffer values = Require.Floats(constants.Bias, "bias");
            Buffer.MemoryCopy(values.Bytes, padded.Bytes, padded.ByteLength, values.ByteLength);
        }
        return padded;
    }

    private static LowRankBranch? PackFactors(in MatMulConstants constants)
    {
        if (constants.Rank == 0)
        {
            return null;
        }

        using NativeBuffer factorB = Require.Floats(constants.FactorB, "B");
        return new LowRankBranch(PackFactorA(constants), factorB, constants.Rank, constants.Rows);
    }

    private static TokenFactor? PackFactorA(in MatMulConstants constants)
    {
        if (!constants.FactorA.IsPresent)
        {
            return null;
        }

        using NativeBuffer factorA = Require.Floats(constants.FactorA, "A");
        return new TokenFactor(factorA, constants.Rank, constants.Layout);
    }
}
