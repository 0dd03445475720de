using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>Solves D (H + damping) = R for tiles of rows, given the factors (I + U) D (I + U)^T of H + damping.</summary>
/// <remarks>
/// Two triangular sweeps over blocks of columns, as GPTQ's: the products between blocks are the kernel's, the rest is vectorized across
/// rows.
/// </remarks>
internal sealed unsafe class RidgeSolver : IDisposable
{
    private const int SubBlock = 32;
    private readonly TiledFactor _factor;
    private readonly AlignedBuffer _turned;

    /// <summary>Prepares the factor, which stays the caller's.</summary>
    public RidgeSolver(TiledFactor factor, Workers workers)
    {
        _factor = factor;
        _turned = new AlignedBuffer((long)factor.Blocks * (factor.Blocks + 1) / 2 * factor.TileSize * factor.Stride);
        workers.For(factor.Blocks, c =>
        {
            for (int k = 0; k <= c; k++)
            {
                for (int r0 = 0; r0 < factor.TileSize; r0 += Transposing.Lines)
                {
                    ReadOnlySpan<float> rows = new(factor.Tile(k, c) + (r0 * factor.Stride), Transposing.Lines * factor.Stride);
                    Transposing.RowsToColumns(rows, factor.Stride, factor.TileSize, Turned(k, c) + r0, factor.Stride, null);
                }
            }
        });
    }

    /// <summary>Solves for one tile.</summary>
    /// <param name="gap">R, tiles of [columns, rows].</param>
    /// <param name="tile">The tile.</param>
    /// <param name="solution">Receives D in the same layout.</param>
    /// <param name="negated">As long as the solution; overwritten.</param>
    public void Solve(TargetGap gap, int tile, float* solution, float* negated)
    {
        int size = _factor.TileSize;
        int stride = gap.Stride;
        new Span<float>(gap.Tile(tile), checked((int)gap.TileLength)).CopyTo(new Span<float>(solution, (int)gap.TileLength));

        // Z (I + U)^T = R from the last column to the first, then Z D^-1.
        for (int j = _factor.Blocks - 1; j >= 0; j--)
        {
            float* block = solution + ((long)j * size * stride);
            for (int k = j + 1; k < _factor.Blocks; k++)
            {
                TileKernel.MultiplyAdd(Turned(j, k), _factor.Stride, negated + ((long)k * size * stride), stride,
                    block, stride, size, gap.TileRows, size);
            }

            Backward(j, block, negated + ((long)j * size * stride), stride, gap.TileRows);
        }

        // D (I + U) = Z D^-1 from the first column to the last.
        for (int j = 0; j < _factor.Blocks; j++)
        {
            float* block = solution + ((long)j * size * stride);
            for (int k = 0; k < j; k++)
            {
                TileKernel.MultiplyAdd(_factor.Tile(k, j), _factor.Stride, negated + ((long)k * size * stride),
                    stride, block, stride, size, gap.TileRows, size);
            }

            Forward(j, block, negated + ((long)j * size * stride), stride, gap.TileRows);
        }
    }

    public void Dispose() => _turned.Dispose();

    // [c][k] = U[k][c].
    private float* Turned(int k, int c) => _turned.Data + (((c * (c + 1L) / 2) + k) * _factor.TileSize * _factor.Stride);

    private void Backward(int j, float* block, float* negated, int stride, int rows)
    {
        int size = _factor.TileSize;
        float* upper = Turned(j, j);
        for (int start = size - SubBlock; start >= 0; start -= SubBlock)
        {
            int next = start + SubBlock;
            if (next < size)
            {
                TileKernel.MultiplyAdd(
                    upper + ((long)next * _factor.Stride) + start, _factor.Stride, negated + (next * stride), stride,
                    block + (start * stride), stride, SubBlock, rows, size - next);
            }

            for (int c = next - 1; c >= start; c--)
            {
                Column(upper, negated, block, stride, rows, c, c + 1, next);
                float scale = (float)(1 / _factor.Pivots[(j * size) + c]);
                VectorMath.Scale(new Span<float>(block + (c * stride), rows), scale);
            }
        }
    }

    private void Forward(int j, float* block, float* negated, int stride, int rows)
    {
        int size = _factor.TileSize;
        float* upper = _factor.Tile(j, j);
        for (int start = 0; start < size; start += SubBlock)
        {
            if (start > 0)
            {
                TileKernel.MultiplyAdd(upper + start, _factor.Stride, negated, stride, block + (start * stride),
                    stride, SubBlock, rows, start);
            }

            for (int c = start; c < start + SubBlock; c++)
            {
                Column(upper, negated, block, stride, rows, c, start, c);
            }
        }
    }

    // block[c] += sum of factor[k, c] negated[k] over first <= k < end, and negated[c] = -block[c].
    private void Column(float* factor, float* negated, float* block, int stride, int rows, int c, int first, int end)
    {
        for (int r = 0; r < rows; r += 16)
        {
            float* target = block + (c * stride) + r;
            Vector256<float> s0 = Vector256.Load(target);
            Vector256<float> s1 = Vector256.Load(target + 8);
            for (int k = first; k < end; k++)
            {
                Vector256<float> u = Vector256.Create(factor[(k * _factor.Stride) + c]);
                float* other = negated + (k * stride) + r;
                s0 = Vector256.FusedMultiplyAdd(u, Vector256.Load(other), s0);
                s1 = Vector256.FusedMultiplyAdd(u, Vector256.Load(other + 8), s1);
            }

            s0.Store(target);
            s1.Store(target + 8);
            (-s0).Store(negated + (c * stride) + r);
            (-s1).Store(negated + (c * stride) + r + 8);
        }
    }
}
