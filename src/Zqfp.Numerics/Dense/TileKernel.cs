using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>
/// The one matrix product under everything: C[m, n] += sum over k of A[k, m] B[k, n], all row-major, so that both operands are
/// read along contiguous lines and nothing needs packing.
/// </summary>
/// <remarks>
/// Each element is summed over k in order with fused multiply-adds starting at 0, then added to C once: 512-bit, 256-bit and
/// scalar code give the same bits, and long sums are made of short ones.
/// </remarks>
internal static unsafe class TileKernel
{
    /// <summary>m must be a multiple of this.</summary>
    public const int RowStep = 8;

    /// <summary>n must be a multiple of this.</summary>
    public const int ColumnStep = 32;

    /// <summary>
    /// Elements between the rows of a tile of <paramref name="width"/>, a multiple of 32: an odd number of cache lines, so that a
    /// column of the tile spreads over all sets of the first-level cache.
    /// </summary>
    public static int Stride(int width) => width + 16;

    /// <summary>Widest vectors to use: the width of the machine's, or less in tests.</summary>
    public static int MachineBits =>
        Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 0;

    public static void MultiplyAdd(float* a, nint lda, float* b, nint ldb, float* c, nint ldc, int m, int n, int k) =>
        MultiplyAdd(MachineBits, a, lda, b, ldb, c, ldc, m, n, k);

    public static void MultiplyAdd(int vectorBits, float* a, nint lda, float* b, nint ldb, float* c, nint ldc, int m, int n, int k)
    {
        if (vectorBits == 256)
        {
            MultiplyAdd256(a, lda, b, ldb, c, ldc, m, n, k);
            return;
        }

        for (int j = 0; j < n; j += ColumnStep)
        {
            for (int i = 0; i < m; i += RowStep)
            {
                float* target = c + (i * ldc) + j;
                if (vectorBits == 512)
                {
                    Block512(a + i, lda, b + j, ldb, target, ldc, k);
                }
                else
                {
                    BlockScalar(a + i, lda, b + j, ldb, target, ldc, k);
                }
            }
        }
    }

    // 8 x 32: sixteen accumulators, two lines of B and one broadcast of A fit the 32 registers.
    private static void Block512(float* a, nint lda, float* b, nint ldb, float* c, nint ldc, int k)
    {
        Vector512<float> c00 = Vector512<float>.Zero, c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        Vector512<float> c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
        for (int p = 0; p < k; p++)
        {
            Vector512<float> b0 = Vector512.Load(b);
            Vector512<float> b1 = Vector512.Load(b + 16);
            Vector512<float> x = Vector512.Create(a[0]);
            c00 = Vector512.FusedMultiplyAdd(x, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(x, b1, c01);
            x = Vector512.Create(a[1]);
            c10 = Vector512.FusedMultiplyAdd(x, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(x, b1, c11);
            x = Vector512.Create(a[2]);
            c20 = Vector512.FusedMultiplyAdd(x, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(x, b1, c21);
            x = Vector512.Create(a[3]);
            c30 = Vector512.FusedMultiplyAdd(x, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(x, b1, c31);
            x = Vector512.Create(a[4]);
            c40 = Vector512.FusedMultiplyAdd(x, b0, c40);
            c41 = Vector512.FusedMultiplyAdd(x, b1, c41);
            x = Vector512.Create(a[5]);
            c50 = Vector512.FusedMultiplyAdd(x, b0, c50);
            c51 = Vector512.FusedMultiplyAdd(x, b1, c51);
            x = Vector512.Create(a[6]);
            c60 = Vector512.FusedMultiplyAdd(x, b0, c60);
            c61 = Vector512.FusedMultiplyAdd(x, b1, c61);
            x = Vector512.Create(a[7]);
            c70 = Vector512.FusedMultiplyAdd(x, b0, c70);
            c71 = Vector512.FusedMultiplyAdd(x, b1, c71);
            a += lda;
            b += ldb;
        }

        Add512(c, c00, c01);
        Add512(c + ldc, c10, c11);
        Add512(c + (2 * ldc), c20, c21);
        Add512(c + (3 * ldc), c30, c31);
        Add512(c + (4 * ldc), c40, c41);
        Add512(c + (5 * ldc), c50, c51);
        Add512(c + (6 * ldc), c60, c61);
        Add512(c + (7 * ldc), c70, c71);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add512(float* c, Vector512<float> first, Vector512<float> second)
    {
        (Vector512.Load(c) + first).Store(c);
        (Vector512.Load(c + 16) + second).Store(c + 16);
    }

    private static void MultiplyAdd256(float* a, nint lda, float* b, nint ldb, float* c, nint ldc, int m, int n, int k)
    {
        // In sixes, but that the last eight or four rows are taken in fours: a multiple of eight has no other rest.
        int sixes = (m % 6 == 2 ? m - 8 : m) / 6 * 6;
        for (int j = 0; j < n; j += 16)
        {
            int i = 0;
            for (; i < sixes; i += 6)
            {
                Block6x16(a + i, lda, b + j, ldb, c + (i * ldc) + j, ldc, k);
            }

            for (; i < m; i += 4)
            {
                Block4x16(a + i, lda, b + j, ldb, c + (i * ldc) + j, ldc, k);
            }
        }
    }

    // Twelve accumulators, two lines of B and one broadcast of A fit the 16 registers.
    private static void Block6x16(float* a, nint lda, float* b, nint ldb, float* c, nint ldc, int k)
    {
        Vector256<float> c00 = Vector256<float>.Zero, c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        Vector256<float> c40 = c00, c41 = c00, c50 = c00, c51 = c00;
        for (int p = 0; p < k; p++)
        {
            Vector256<float> b0 = Vector256.Load(b);
            Vector256<float> b1 = Vector256.Load(b + 8);
            Vector256<float> x = Vector256.Create(a[0]);
            c00 = Vector256.FusedMultiplyAdd(x, b0, c00);
            c01 = Vector256.FusedMultiplyAdd(x, b1, c01);
            x = Vector256.Create(a[1]);
            c10 = Vector256.FusedMultiplyAdd(x, b0, c10);
            c11 = Vector256.FusedMultiplyAdd(x, b1, c11);
            x = Vector256.Create(a[2]);
            c20 = Vector256.FusedMultiplyAdd(x, b0, c20);
            c21 = Vector256.FusedMultiplyAdd(x, b1, c21);
            x = Vector256.Create(a[3]);
            c30 = Vector256.FusedMultiplyAdd(x, b0, c30);
            c31 = Vector256.FusedMultiplyAdd(x, b1, c31);
            x = Vector256.Create(a[4]);
            c40 = Vector256.FusedMultiplyAdd(x, b0, c40);
            c41 = Vector256.FusedMultiplyAdd(x, b1, c41);
            x = Vector256.Create(a[5]);
            c50 = Vector256.FusedMultiplyAdd(x, b0, c50);
            c51 = Vector256.FusedMultiplyAdd(x, b1, c51);
            a += lda;
            b += ldb;
        }

        Add256(c, c00, c01);
        Add256(c + ldc, c10, c11);
        Add256(c + (2 * ldc), c20, c21);
        Add256(c + (3 * ldc), c30, c31);
        Add256(c + (4 * ldc), c40, c41);
        Add256(c + (5 * ldc), c50, c51);
    }

    private static void Block4x16(float* a, nint lda, float* b, nint ldb, float* c, nint ldc, int k)
    {
        Vector256<float> c00 = Vector256<float>.Zero, c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
        for (int p = 0; p < k; p++)
        {
            Vector256<float> b0 = Vector256.Load(b);
            Vector256<float> b1 = Vector256.Load(b + 8);
            Vector256<float> x = Vector256.Create(a[0]);
            c00 = Vector256.FusedMultiplyAdd(x, b0, c00);
            c01 = Vector256.FusedMultiplyAdd(x, b1, c01);
            x = Vector256.Create(a[1]);
            c10 = Vector256.FusedMultiplyAdd(x, b0, c10);
            c11 = Vector256.FusedMultiplyAdd(x, b1, c11);
            x = Vector256.Create(a[2]);
            c20 = Vector256.FusedMultiplyAdd(x, b0, c20);
            c21 = Vector256.FusedMultiplyAdd(x, b1, c21);
            x = Vector256.Create(a[3]);
            c30 = Vector256.FusedMultiplyAdd(x, b0, c30);
            c31 = Vector256.FusedMultiplyAdd(x, b1, c31);
            a += lda;
            b += ldb;
        }

        Add256(c, c00, c01);
        Add256(c + ldc, c10, c11);
        Add256(c + (2 * ldc), c20, c21);
        Add256(c + (3 * ldc), c30, c31);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add256(float* c, Vector256<float> first, Vector256<float> second)
    {
        (Vector256.Load(c) + first).Store(c);
        (Vector256.Load(c + 8) + second).Store(c + 8);
    }

    private static void BlockScalar(float* a, nint lda, float* b, nint ldb, float* c, nint ldc, int k)
    {
        for (int i = 0; i < RowStep; i++)
        {
            for (int j = 0; j < ColumnStep; j++)
            {
                float sum = 0;
                for (int p = 0; p < k; p++)
                {
                    sum = MathF.FusedMultiplyAdd(a[(p * lda) + i], b[(p * ldb) + j], sum);
                }

                c[(i * ldc) + j] += sum;
            }
        }
    }
}
