namespace Zqfp.Numerics;

/// <summary>The steps of a layer on the processor: the reference.</summary>
internal sealed class ProcessorSteps(Hessian? hessian, int tileSize, Workers workers) : ILayerSteps
{
    public IHessianFactor? TryFactor(int[]? order, bool[] dead, double damping) =>
        TiledFactor.TryCreate(hessian!, order, dead, damping, tileSize, workers.Threads, workers.Cancellation) is { } factor
            ? new Factor(factor, hessian!, workers.Cancellation)
            : null;

    public IErrorProducts Errors(ReadOnlyMemory<float> weights, QuantizedMatrix quantized, LowRankFactors? lowRank) =>
        new StreamedError(new ErrorSource(weights, quantized, lowRank), hessian, workers.Threads, workers.Cancellation);

    public void Dispose()
    {
    }

    private sealed class Factor(TiledFactor factor, Hessian hessian, CancellationToken cancellation) : IHessianFactor
    {
        public double[] Pivots => factor.Pivots;

        public byte[] Sweep(WeightSource weights, DampedHessian damped, ScaleTable scales, QuantizationOptions options, out double loss) =>
            GptqSweep.Quantize(weights, hessian, factor, damped, scales, options, out loss, cancellation);

        public void Dispose() => factor.Dispose();
    }
}
