namespace Zqfp.CudaOps;

/// <summary>A layer's weights on the device in E4M3, one scale a row, and its products with many tokens.</summary>
internal sealed class ExpandedLayer : IDisposable
{
    private readonly DeviceMemory _codes;
    private readonly DeviceMemory? _rowScales;

    private ExpandedLayer(DeviceMemory codes, DeviceMemory? rowScales, DensePlans plans)
    {
        _codes = codes;
        _rowScales = rowScales;
        Plans = plans;
    }

    /// <summary>The products.</summary>
    public DensePlans Plans { get; }

    /// <summary>Expands packed FP4 weights, which E4M3 holds exactly; what else the layer has stays where it is.</summary>
    /// <param name="context">The device, current on this thread.</param>
    /// <param name="kernels">Its kernels.</param>
    /// <param name="packed">The layer, whose size <see cref="DenseTile.Fits"/> and whose scales are powers of two times one a row.</param>
    /// <param name="output">Element type of Y.</param>
    public static ExpandedLayer Of(CudaContext context, HopperKernels kernels, DeviceWeight packed, ElementKind output)
    {
        int rows = packed.Layout.Rows, columns = packed.Layout.Columns;
        var codes = new DeviceMemory(context, (long)rows * columns);
        try
        {
            kernels.Expand(stream: 0, packed, codes.Address);
            context.Synchronize();
            var weight = new DenseWeight(
                codes.Address, packed.RowScales.Address, packed.Bias?.Address ?? 0, packed.LowRankB?.Address ?? 0, packed.Rank, rows,
                columns);
            return new ExpandedLayer(codes, null, new DensePlans(context, kernels, weight, output));
        }
        catch
        {
            codes.Dispose();
            throw;
        }
    }

    /// <summary>Weights that are E4M3 in the model, one exponent a row.</summary>
    /// <param name="context">The device, current on this thread.</param>
    /// <param name="kernels">Its kernels.</param>
    /// <param name="constants">The layer.</param>
    /// <param name="place">Where its constants lie already, as the model stores them.</param>
    /// <param name="codes">Its codes there, which belong to the result from now on.</param>
    /// <param name="output">Element type of Y.</param>
    public static ExpandedLayer Of(
        CudaContext context, HopperKernels kernels, LinearConstants constants, in SimpleWeight place, DeviceMemory codes,
        ElementKind output)
    {
        float[] scales = new float[constants.Rows];
        for (int row = 0; row < scales.Length; row++)
        {
            scales[row] = float.ScaleB(constants.RowScales.Span[row], -constants.Exponents.Span[row]);
        }

        DeviceMemory rowScales = DeviceMemory.From<float>(context, scales);
        var weight = new DenseWeight(
            codes.Address, rowScales.Address, place.Bias, place.LowRankB, place.Rank, constants.Rows, constants.Columns);
        return new ExpandedLayer(codes, rowScales, new DensePlans(context, kernels, weight, output));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _codes.Dispose();
        _rowScales?.Dispose();
    }
}
