namespace Zqfp.Numerics;

/// <summary>A Hessian ready for GPTQ: dead columns found, order chosen, damped, factored.</summary>
internal sealed class DampedHessian : IDisposable
{
    private const double FirstRaise = 0.01;
    private const double LastDamping = 1;

    private readonly int _columns;
    private readonly bool[] _dead;

    private DampedHessian(int columns, IHessianFactor factor, bool[] dead, int[]? order, double damping)
    {
        _columns = columns;
        _dead = dead;
        Factor = factor;
        Order = order;
        Damping = damping;
    }

    public IHessianFactor Factor { get; }

    /// <summary>Column taken at each step, or null for the natural order.</summary>
    public int[]? Order { get; }

    /// <summary>What was added to the diagonal.</summary>
    public double Damping { get; }

    /// <summary>Factors; raises the damping tenfold, up to the mean of the diagonal, until that succeeds.</summary>
    /// <exception cref="ZqfpException">ZQFP2004: it never did.</exception>
    public static DampedHessian Create(
        Hessian hessian, QuantizationOptions options, ILayerSteps steps, LayerWarnings warnings)
    {
        int size = hessian.Size;
        float[] diagonal = hessian.Diagonal();
        bool[] dead = Array.ConvertAll(diagonal, value => value == 0);
        for (int i = 0; i < size; i++)
        {
            diagonal[i] = dead[i] ? 1 : diagonal[i];
        }

        warnings.DeadColumns(dead.Count(isDead => isDead), size);
        int[]? order = options.ActOrder ? [.. Enumerable.Range(0, size).OrderByDescending(i => diagonal[i])] : null;
        double mean = diagonal.Average(value => (double)value);
        for (double share = options.Damping; share <= LastDamping; share = Math.Max(share * 10, FirstRaise))
        {
            if (steps.TryFactor(order, dead, share * mean) is { } factor)
            {
                if (share != options.Damping)
                {
                    warnings.DampingRaised(options.Damping, share);
                }

                return new DampedHessian(size, factor, dead, order, share * mean);
            }
        }

        throw new ZqfpException(
            DiagnosticCodes.HessianNotPositiveDefinite,
            "The Hessian cannot be factored, not even with the mean of its diagonal added. It must be symmetric and positive semidefinite, "
            + "as a sum of x x^T is.");
    }

    /// <summary>
    /// The factorization's pivots, column by column. A dead column has the least of the others: it must not decide a group's scale.
    /// </summary>
    public float[] ColumnPivots()
    {
        float[] pivots = new float[_columns];
        for (int step = 0; step < pivots.Length; step++)
        {
            pivots[Order?[step] ?? step] = (float)Factor.Pivots[step];
        }

        float least = pivots.Where((_, column) => !_dead[column]).DefaultIfEmpty(1).Min();
        for (int column = 0; column < pivots.Length; column++)
        {
            pivots[column] = _dead[column] ? least : pivots[column];
        }

        return pivots;
    }

    public void Dispose() => Factor.Dispose();
}
