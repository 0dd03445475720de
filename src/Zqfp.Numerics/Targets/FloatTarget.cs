namespace Zqfp.Numerics;

/// <summary>
/// Weights that bring a layer's output, given the input it will really read, near a target: W* = (C + lambda mu W)(H + lambda mu I)^-1
/// with C = sum t a^T and mu the mean of H's diagonal. The ridge pulls toward W, and lambda is chosen by the error on tokens that were
/// held out.
/// </summary>
/// <remarks>
/// It is computed as W* = W + R (H + lambda mu I)^-1 with R = C - W H, so that what is small stays exact in float32. The held-out error of
/// a change D, less that of none, is tr(D Hv D^T) - 2 tr(D Rv^T): no token is needed again.
/// </remarks>
internal static unsafe class FloatTarget
{
    /// <summary>The lambdas tried, beside none.</summary>
    public static readonly double[] Ridges = [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001];

    /// <summary>
    /// After so many lambdas without progress smaller ones are not tried: the error on the held-out tokens has one valley.
    /// </summary>
    private const int Patience = 2;

    /// <summary>
    /// Rows that lambda is chosen by. All rows of a layer read the same input, so that a hundred say what is lost by fitting its noise.
    /// </summary>
    public const int Rows = 128;

    /// <summary>Chooses lambda.</summary>
    /// <param name="fit">H of the tokens that the candidates are fitted to.</param>
    /// <param name="held">H of those held out; both are sums over the same N.</param>
    /// <param name="fitGap">R of the first, of the rows that decide.</param>
    /// <param name="heldGap">R of the others, of the same rows.</param>
    /// <param name="workers">Who computes.</param>
    /// <returns>Lambda, or infinity where none lowers the held-out error.</returns>
    public static double Choose(Hessian fit, Hessian held, TargetGap fitGap, TargetGap heldGap, Workers workers)
    {
        double best = 0;
        double chosen = double.PositiveInfinity;
        int tried = 0;
        foreach (double ridge in Ridges)
        {
            using TiledFactor? factor = Factor(fit, ridge, workers);
            double error = factor is null ? double.PositiveInfinity : HeldError(factor, held, fitGap, heldGap, workers);
            if (error < best)
            {
                (best, chosen, tried) = (error, ridge, 0);
            }
            else if (double.IsFinite(chosen) && ++tried == Patience)
            {
                break;
            }
        }

        return chosen;
    }

    /// <summary>Adds R (H + lambda mu I)^-1 to the weights.</summary>
    /// <param name="weights">W [rows, columns], row-major; receives W*.</param>
    /// <param name="hessian">H of all tokens.</param>
    /// <param name="gap">R of all tokens.</param>
    /// <param name="ridge">Lambda, finite.</param>
    /// <param name="workers">Who computes.</param>
    /// <returns>False where the matrix cannot be factored; the weights are then as they were.</returns>
    public static bool Apply(float[] weights, Hessian hessian, TargetGap gap, double ridge, Workers workers)
    {
        using TiledFactor? factor = Factor(hessian, ridge, workers);
        if (factor is null)
        {
            return false;
        }

        using var solver = new RidgeSolver(factor, workers);
        gap.ForTiles(workers, (tile, changes) =>
        {
            using var negated = new AlignedBuffer(gap.TileLength);
            solver.Solve(gap, tile, changes.Data, negated.Data);
            gap.AddRows(tile, changes.Data, weights);
        });
        return true;
    }

    private static TiledFactor? Factor(Hessian hessian, double ridge, Workers workers)
    {
        float[] diagonal = hessian.Diagonal();
        bool[] dead = Array.ConvertAll(diagonal, value => value == 0);
        double damping = ridge * diagonal.Average(value => (double)value);
        return TiledFactor.TryCreate(hessian, null, dead, damping, TokenTiles.Tile, workers.Threads, workers.Cancellation);
    }

    private static double HeldError(TiledFactor factor, Hessian held, TargetGap fitGap, TargetGap heldGap, Workers workers)
    {
        double[] errors = new double[fitGap.Tiles];
        using var solver = new RidgeSolver(factor, workers);
        fitGap.ForTiles(workers, (tile, changes) =>
        {
            using var scratch = new AlignedBuffer(fitGap.TileLength);
            solver.Solve(fitGap, tile, changes.Data, scratch.Data);
            errors[tile] = HeldError(held, heldGap, tile, changes, scratch);
        });
        return errors.Sum();
    }

    // Over pairs of blocks of columns k <= c, those with k < c twice.
    private static double HeldError(Hessian held, TargetGap gap, int tile, AlignedBuffer changes, AlignedBuffer sums)
    {
        const int Block = 128;
        double error = 0;
        for (int c = 0; c < held.PaddedSize; c += Block)
        {
            int width = Math.Min(Block, held.PaddedSize - c);
            Span<float> change = changes.Slice((long)c * gap.Stride, width * gap.Stride);
            Span<float> sum = sums.Slice(0, width * gap.Stride);
            sum.Clear();
            for (int k = 0; k < c; k += Block)
            {
                Multiply(k, Block);
            }

            VectorMath.Scale(sum, 2);
            Multiply(c, width);
            error += VectorMath.Dot(
                sum, change) - (2 * VectorMath.Dot(new Span<float>(gap.Tile(tile) + ((long)c * gap.Stride), change.Length), change));

            void Multiply(int k, int depth) => TileKernel.MultiplyAdd(
                held.Data + ((long)k * held.Stride) + c, held.Stride, changes.Data + ((long)k * gap.Stride), gap.Stride,
                sums.Data, gap.Stride, width, gap.TileRows, depth);
        }

        return error;
    }
}
