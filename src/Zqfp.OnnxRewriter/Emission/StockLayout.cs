namespace Zqfp.OnnxRewriter;

/// <summary>How the profile <c>stock</c> stores one quantized weight [N, K], and what that takes.</summary>
/// <param name="Rows">N.</param>
/// <param name="Columns">K.</param>
/// <param name="BlockSize">
/// Columns that share a scale in MatMulNBits, or 0 where that operator cannot hold the weight: its codes are FP8, or its groups are no
/// multiples of a block.
/// </param>
/// <param name="GroupSize">Columns that share a scale in the quantized weight.</param>
internal readonly record struct StockLayout(int Rows, int Columns, int BlockSize, int GroupSize)
{
    /// <summary>The smallest block of MatMulNBits.</summary>
    private const int Smallest = 16;

    /// <summary>The largest block that ONNX Runtime computes correctly in every version.</summary>
    private const int Largest = 256;

    /// <summary>Blocks in a row; the last one may be longer than what is left of the row.</summary>
    public int Blocks => (Columns + BlockSize - 1) / BlockSize;

    /// <summary>Bytes of the codes, one for each weight and for what fills the last block of a row.</summary>
    public long CodeBytes => BlockSize == 0 ? (long)Rows * Columns : (long)Rows * Blocks * BlockSize;

    /// <summary>Bytes of the scales, one float for each block or group.</summary>
    public long ScaleBytes => (long)sizeof(float) * Rows * (BlockSize == 0 ? (Columns + GroupSize - 1) / GroupSize : Blocks);

    /// <summary>The layout of a weight.</summary>
    /// <param name="codes">Its codes.</param>
    /// <param name="rows">N.</param>
    /// <param name="columns">K.</param>
    /// <param name="groupSize">Columns that share a scale, at least 1; more than K where a whole row does.</param>
    public static StockLayout Of(WeightCodes codes, int rows, int columns, int groupSize)
    {
        var layout = new StockLayout(rows, columns, 0, Math.Min(groupSize, columns));
        if (codes != WeightCodes.Fp4E2M1)
        {
            return layout;
        }

        long least = long.MaxValue;
        for (int block = Largest; block >= Smallest; block /= 2)
        {
            // No block may reach into two groups. Of those that fit, the one that takes the fewest bytes, the larger of two equals.
            StockLayout candidate = layout with { BlockSize = block };
            if ((groupSize >= columns || groupSize % block == 0) && candidate.CodeBytes + candidate.ScaleBytes < least)
            {
                least = candidate.CodeBytes + candidate.ScaleBytes;
                layout = candidate;
            }
        }

        return layout;
    }

    /// <summary>The layout of a layer's weight.</summary>
    public static StockLayout Of(QuantizedLayerTensors layer) =>
        Of(layer.CodesType, layer.Layer.OutFeatures, layer.Layer.InFeatures, layer.GroupSize);
}
