namespace Zqfp.CudaOps;

/// <summary>The constants of a product for experts, packed for the processor: one layer for each expert.</summary>
internal static unsafe class ExpertLayers
{
    /// <summary>Packs them.</summary>
    public static MatMulLayer[] Pack(MatMulSignature signature, in ExpertConstants constants)
    {
        int rows = constants.Rows;
        var layers = new MatMulLayer[constants.Experts];
        for (int e = 0; e < layers.Length; e++)
        {
            ReadOnlySpan<byte> codes = constants.Codes(e, signature.Weights);
            PackedWeights packed = signature.PowerOfTwoScales
                ? PackedWeights.FromExponents(signature.Weights, codes, constants.Part<byte>(constants.Scales, e),
                    constants.Part<float>(constants.RowScales, e), rows, constants.Layout)
                : PackedWeights.FromScales(signature.Weights, codes, constants.Part<float>(constants.Scales, e), rows, constants.Layout);
            int panels = (rows + PackedWeights.PanelWidth - 1) / PackedWeights.PanelWidth;
            var padded = new NativeBuffer((long)panels * PackedWeights.PanelWidth * sizeof(float));
            constants.Floats(constants.Bias, e, "bias").CopyTo(new Span<float>(padded.Floats, rows));
            layers[e] = new MatMulLayer(packed, padded, Branch(constants, e), constants.OutputType);
        }

        return layers;
    }

    private static LowRankBranch? Branch(in ExpertConstants constants, int expert)
    {
        if (constants.Rank == 0)
        {
            return null;
        }

        float[] a = constants.Floats(constants.FactorA, expert, "A"), b = constants.Floats(constants.FactorB, expert, "B");
        using var factorA = new NativeBuffer((long)a.Length * sizeof(float));
        using var factorB = new NativeBuffer((long)b.Length * sizeof(float));
        a.CopyTo(new Span<float>(factorA.Floats, a.Length));
        b.CopyTo(new Span<float>(factorB.Floats, b.Length));
        return new LowRankBranch(new TokenFactor(factorA, constants.Rank, constants.Layout), factorB, constants.Rank, constants.Rows);
    }
}
