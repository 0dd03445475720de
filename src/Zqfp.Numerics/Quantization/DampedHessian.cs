namespace Zqfp.Numerics;

/// <summary>A Hessian ready for GPTQ: dead columns found, order chosen, damped, factored.</summary>
internal sealed class DampedHessian : IDisposable
{
    private const double FirstRaise = 0.01;
    private const double LastDamping = 1;

    private DampedHessian(TiledFactor factor, int[] deadColumns, int[]? order, double damping)
    {
        Factor = factor;
        DeadColumns = deadColumns;
        Order = order;
        Damping = damping;
    }

    public TiledFactor Factor { get; }

    public int[] DeadColumns { get; }

    /// <summary>Column taken at each step, or null for the natural order.</summary>
    public int[]? Order { get; }

    /// <summary>What was added to the diagonal.</summary>
    public double Damping { get; }

    /// <summary>Factors; raises the damping tenfold, up to the mean of the diagonal, until that succeeds.</summary>
    /// <exception cref="QuantizationException">ZQFP2004: it never did.</exception>
    public static DampedHessian Create(Hessian hessian, QuantizationOptions options, LayerWarnings warnings, CancellationToken cancellationToken)
    {
        int size = hessian.Size;
        double[] diagonal = new double[size];
        bool[] dead = new bool[size];
        for (int i = 0; i < size; i++)
        {
            float value = hessian.Row(i)[i];
            dead[i] = value == 0;
            diagonal[i] = dead[i] ? 1 : value;
        }

        int[] deadColumns = [.. Enumerable.Range(0, size).Where(i => dead[i])];
        warnings.DeadColumns(deadColumns.Length, size);
        int[]? order = options.ActOrder ? [.. Enumerable.Range(0, size).OrderByDescending(i => diagonal[i])] : null;
        double mean = diagonal.Average();
        for (double share = options.Damping; share <= LastDamping; share = Math.Max(share * 10, FirstRaise))
        {
            if (TiledFactor.TryCreate(hessian, order, dead, share * mean, options.BlockSize, options.Threads, cancellationToken) is { } factor)
            {
                if (share != options.Damping)
                {
                    warnings.DampingRaised(options.Damping, share);
                }

                return new DampedHessian(factor, deadColumns, order, share * mean);
            }
        }

        throw new QuantizationException(
            DiagnosticCodes.HessianNotPositiveDefinite,
            "The Hessian cannot be factored, not even with the mean of its diagonal added. It must be symmetric and positive semidefinite, as a sum of x x^T is.");
    }

    public void Dispose() => Factor.Dispose();
}
