namespace Zqfp.Numerics;

/// <summary>Factors one diagonal tile S = L^T L (L lower triangular) and inverts L, in double.</summary>
internal sealed unsafe class DiagonalTile(int size, int stride)
{
    // A pivot below this share of its diagonal element is rounding noise of the float32 tile, not information.
    private const double PivotFloor = 1e-7;

    private readonly double[] _lower = new double[size * size];
    private readonly double[] _inverse = new double[size * size];

    /// <summary>Factors.</summary>
    /// <param name="tile">-S on entry, L on return; rows are <c>stride</c> apart.</param>
    /// <param name="inverse">Receives L^-1, in the same layout.</param>
    /// <param name="pivots">Receives the squares of L's diagonal.</param>
    /// <returns>Whether S is positive definite.</returns>
    public bool Factor(float* tile, float* inverse, Span<double> pivots)
    {
        for (int i = 0; i < size; i++)
        {
            for (int j = 0; j < size; j++)
            {
                _lower[(i * size) + j] = -(double)tile[(i * stride) + j];
            }
        }

        for (int c = size - 1; c >= 0; c--)
        {
            Span<double> row = _lower.AsSpan(c * size, size);
            double pivot = row[c];
            if (!(pivot > -(double)tile[(c * stride) + c] * PivotFloor) || !(pivot > 0) || !double.IsFinite(pivot))
            {
                return false;
            }

            pivots[c] = pivot;
            double scale = 1 / Math.Sqrt(pivot);
            for (int j = 0; j <= c; j++)
            {
                row[j] *= scale;
            }

            row[(c + 1)..].Clear();
            for (int i = 0; i < c; i++)
            {
                VectorMath.AddScaled(_lower.AsSpan(i * size, i + 1), -row[i], row[..(i + 1)]);
            }
        }

        Invert();
        for (int i = 0; i < size; i++)
        {
            for (int j = 0; j < size; j++)
            {
                tile[(i * stride) + j] = (float)_lower[(i * size) + j];
                inverse[(i * stride) + j] = (float)_inverse[(i * size) + j];
            }
        }

        return true;
    }

    private void Invert()
    {
        for (int c = 0; c < size; c++)
        {
            Span<double> row = _inverse.AsSpan(c * size, size);
            row.Clear();
            row[c] = 1;
            for (int k = 0; k < c; k++)
            {
                VectorMath.AddScaled(row[..(k + 1)], -_lower[(c * size) + k], _inverse.AsSpan(k * size, k + 1));
            }

            double scale = 1 / _lower[(c * size) + c];
            for (int j = 0; j <= c; j++)
            {
                row[j] *= scale;
            }
        }
    }
}
