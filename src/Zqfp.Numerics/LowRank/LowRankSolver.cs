namespace Zqfp.Numerics;

/// <summary>
/// The best low-rank approximation of a quantization error (LoRC): of E itself, or of its effect on the layer's outputs.
/// </summary>
/// <remarks>
/// tr((E - X) H (E - X)^T) is least, among all X of rank r, for X = P E, where P projects on the top r eigenvectors of
/// E H E^T; with H = I that is the truncated SVD. So neither a square root of H nor its inverse is needed, and a singular H is
/// no special case. The eigenvectors are sought in a subspace of rows: all of it when a side of E is at most
/// <see cref="ExactLimit"/>, else one found by subspace iteration from fixed random signs.
/// </remarks>
/// <param name="error">E.</param>
/// <param name="isWeighted">Whether its effect on the outputs counts.</param>
internal sealed unsafe class LowRankSolver(IErrorProducts error, bool isWeighted)
{
    /// <summary>Largest side up to which the decomposition is exact.</summary>
    public const int ExactLimit = 256;

    private const int Iterations = 4;
    private const int Oversampling = 16;

    /// <summary>Fits factors of rank min(rank, rows, columns).</summary>
    /// <param name="rank">1 or more.</param>
    /// <param name="storage">Type of the factors.</param>
    /// <param name="exactLimit">Largest side up to which the decomposition is exact.</param>
    public LowRankFactors Fit(int rank, LowRankStorage storage, int exactLimit = ExactLimit)
    {
        rank = Math.Min(rank, Math.Min(error.Rows, error.Columns));
        using AlignedBuffer rowBasis = FindRowBasis(rank, exactLimit, out int width);
        using AlignedBuffer projected = error.MultiplyTransposed(rowBasis, width);
        using AlignedBuffer weighted = Weigh(projected, width);
        double[] gram = Basis.SymmetricProduct(projected, weighted, error.PaddedColumns, width);
        double[] vectors = SymmetricEigen.Decompose(gram, width, out _);
        float[] down = new float[rank * error.Columns];
        float[] up = new float[error.Rows * rank];
        for (int i = 0; i < rank; i++)
        {
            Component(rowBasis, projected, width, vectors.AsSpan(i * width, width), i, rank, down, up);
        }

        Round(down, storage);
        Round(up, storage);
        return new LowRankFactors(rank, down, up);
    }

    // H X, or a copy of X.
    private AlignedBuffer Weigh(AlignedBuffer right, int width)
    {
        if (isWeighted)
        {
            return error.MultiplyHessian(right, width);
        }

        var copy = new AlignedBuffer(right.Length);
        Buffer.MemoryCopy(right.Data, copy.Data, right.Length * sizeof(float), right.Length * sizeof(float));
        return copy;
    }

    private static void Round(float[] values, LowRankStorage storage)
    {
        for (int i = 0; storage == LowRankStorage.Float16 && i < values.Length; i++)
        {
            values[i] = (float)(Half)values[i];
        }
    }

    // Row vectors U_r^T E are scaled to the square root of their norm and columns U_r to the same, so that both factors have
    // the same range.
    private void Component(
        AlignedBuffer rowBasis, AlignedBuffer projected, int width, ReadOnlySpan<double> vector, int index, int rank,
        float[] down, float[] up)
    {
        float[] weights = new float[width];
        for (int j = 0; j < width; j++)
        {
            weights[j] = (float)vector[j];
        }

        Span<float> row = down.AsSpan(index * error.Columns, error.Columns);
        for (int k = 0; k < row.Length; k++)
        {
            row[k] = (float)VectorMath.Dot(weights, projected.Slice((long)k * width, width));
        }

        double norm = Math.Sqrt(VectorMath.Dot(row, row));
        float scale = norm > 0 ? (float)Math.Sqrt(norm) : 0;
        VectorMath.Scale(row, norm > 0 ? 1 / scale : 0);
        for (int n = 0; n < error.Rows; n++)
        {
            up[(n * rank) + index] = scale * (float)VectorMath.Dot(weights, rowBasis.Slice((long)n * width, width));
        }
    }

    private AlignedBuffer FindRowBasis(int rank, int exactLimit, out int width)
    {
        if (error.Rows <= exactLimit)
        {
            width = VectorMath.RoundUp(error.Rows, TileKernel.ColumnStep);
            return Basis.Identity(error.PaddedRows, width, error.Rows);
        }

        AlignedBuffer columnBasis;
        int iterations = Iterations;
        if (error.Columns <= exactLimit)
        {
            width = error.PaddedColumns;
            columnBasis = Basis.Identity(width, width, error.Columns);
            iterations = 0;
        }
        else
        {
            width = VectorMath.RoundUp(Math.Min(rank + Oversampling, Math.Min(error.Rows, error.Columns)), TileKernel.ColumnStep);
            columnBasis = Basis.Random(error.PaddedColumns, width);
        }

        for (int i = 0; i < iterations; i++)
        {
            using AlignedBuffer weighted = Weigh(columnBasis, width);
            columnBasis.Dispose();
            columnBasis = error.MultiplyTwice(weighted, width);
            Basis.Orthonormalize(columnBasis, error.PaddedColumns, width);
        }

        using (columnBasis)
        {
            using AlignedBuffer weighted = Weigh(columnBasis, width);
            AlignedBuffer rowBasis = error.Multiply(weighted, width);
            Basis.Orthonormalize(rowBasis, error.PaddedRows, width);
            return rowBasis;
        }
    }
}
