namespace Zqfp.Numerics;

/// <summary>Quantizes one linear layer: scales, RTN or GPTQ, low-rank correction.</summary>
internal static class LayerQuantizer
{
    /// <summary>Quantizes a layer that has no name.</summary>
    /// <inheritdoc
    /// cref="Quantize(string, ReadOnlyMemory{float}, int, int, Hessian, QuantizationOptions, ILayerDevice, CancellationToken)"/>
    public static QuantizedLayer Quantize(
        ReadOnlyMemory<float> weights, int rows, int columns, Hessian? hessian, QuantizationOptions options,
        CancellationToken cancellation = default) =>
        Quantize("(unnamed)", weights, rows, columns, hessian, options, null, cancellation);

    /// <summary>Quantizes a layer on the processor.</summary>
    /// <inheritdoc
    /// cref="Quantize(string, ReadOnlyMemory{float}, int, int, Hessian, QuantizationOptions, ILayerDevice, CancellationToken)"/>
    public static QuantizedLayer Quantize(
        string layer, ReadOnlyMemory<float> weights, int rows, int columns, Hessian? hessian, QuantizationOptions options,
        CancellationToken cancellation = default) =>
        Quantize(layer, weights, rows, columns, hessian, options, null, cancellation);

    /// <summary>Quantizes a layer. The result depends on nothing but the arguments; not on the number of threads.</summary>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <param name="weights">W [rows, columns], row-major; not changed.</param>
    /// <param name="rows">N: output channels, 1 or more.</param>
    /// <param name="columns">K: input columns, 1 or more.</param>
    /// <param name="hessian">H [columns, columns]; may be null for RTN with a plain low-rank correction.</param>
    /// <param name="options">The recipe.</param>
    /// <param name="device">What takes the costly steps; null for the processor.</param>
    /// <param name="cancellation">Stops the work with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="ZqfpException">
    /// ZQFP2001 shapes do not match, ZQFP2002 NaN or infinity in the weights, ZQFP2003 in the Hessian, ZQFP2004 the Hessian cannot
    /// be factored, ZQFP2005 an option is invalid, ZQFP2006 a scale does not fit its storage type.
    /// </exception>
    public static QuantizedLayer Quantize(
        string layer,
        ReadOnlyMemory<float> weights,
        int rows,
        int columns,
        Hessian? hessian,
        QuantizationOptions options,
        ILayerDevice? device,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(layer);
        ArgumentNullException.ThrowIfNull(options);
        try
        {
            options.Validate(hessian is not null);
            LayerInput.Check(weights.Span, rows, columns, hessian, new Workers(options.Threads, cancellation));
            using var run = new LayerRun(layer, weights, rows, columns, hessian, options, device, cancellation);
            return run.Quantize();
        }
        catch (ZqfpException e)
        {
            throw new ZqfpException(e.Code, $"Layer '{layer}': {e.Message}", e.File, e);
        }
    }

    /// <summary>tr(E H E^T) of a quantized matrix and its correction against the original weights; ||E||^2 without a Hessian.</summary>
    /// <param name="weights">The original weights, row-major.</param>
    /// <param name="quantized">The quantized matrix, of the same shape.</param>
    /// <param name="lowRank">Its correction, or null.</param>
    /// <param name="hessian">H, or null.</param>
    /// <param name="maxThreads">Threads used at most; 0 for one a processor.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="ZqfpException">ZQFP2001: shapes do not match.</exception>
    public static double Loss(
        ReadOnlyMemory<float> weights,
        QuantizedMatrix quantized,
        LowRankFactors? lowRank,
        Hessian? hessian,
        int maxThreads = 0,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(quantized);
        LayerInput.CheckShape(weights.Length, quantized.Rows, quantized.Columns, hessian);
        var error = new ErrorSource(weights, quantized, lowRank);
        var workers = Workers.Of(maxThreads, cancellation);
        return new StreamedError(error, hessian, workers.Threads, cancellation).Loss(hessian is not null);
    }
}
