namespace Zqfp.CudaOps;

/// <summary>Puts a layer's weights on the device in E4M3, one scale a row, for its products with many tokens.</summary>
internal static class ExpandedLayer
{
    /// <summary>Expands packed FP4 weights, which E4M3 holds exactly; what else the layer has stays where it is.</summary>
    /// <param name="owned">Owns the codes.</param>
    /// <param name="context">The device, current on this thread.</param>
    /// <param name="kernels">Its kernels.</param>
    /// <param name="packed">The layer, whose size <see cref="DenseTile.Fits"/> and whose scales are powers of two times one a row.</param>
    /// <param name="output">Element type of Y.</param>
    public static DensePlans Of(OwnedMemory owned, CudaContext context, HopperKernels kernels, DeviceWeight packed, ElementKind output)
    {
        int rows = packed.Layout.Rows, columns = packed.Layout.Columns;
        DeviceMemory codes = owned.Add(new DeviceMemory(context, (long)rows * columns));
        kernels.Expand(stream: 0, packed, codes.Address);
        context.Synchronize();
        var weight = new DenseWeight(
            codes.Address, packed.RowScales.Address, packed.Bias?.Address ?? 0, packed.LowRankB?.Address ?? 0, packed.Rank, rows, columns);
        return new DensePlans(context, kernels, weight, output);
    }

    /// <summary>Weights that are E4M3 in the model, one exponent a row.</summary>
    /// <param name="owned">Owns what is put on the device.</param>
    /// <param name="context">The device, current on this thread.</param>
    /// <param name="kernels">Its kernels.</param>
    /// <param name="constants">The layer.</param>
    /// <param name="place">Where its codes, bias and branch lie already.</param>
    /// <param name="output">Element type of Y.</param>
    public static DensePlans Of(
        OwnedMemory owned, CudaContext context, HopperKernels kernels, LinearConstants constants, in SimpleWeight place, ElementKind output)
    {
        float[] scales = new float[constants.Rows];
        for (int row = 0; row < scales.Length; row++)
        {
            scales[row] = float.ScaleB(constants.RowScales.Span[row], -constants.Exponents.Span[row]);
        }

        var weight = new DenseWeight(
            place.Codes, owned.From<float>(context, scales).Address, place.Bias, place.LowRankB, place.Rank, constants.Rows,
            constants.Columns);
        return new DensePlans(context, kernels, weight, output);
    }
}
