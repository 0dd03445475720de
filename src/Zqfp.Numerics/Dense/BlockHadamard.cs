using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>
/// Multiplies rows by a block-diagonal matrix of normalized Hadamard matrices: each block b of a row becomes b H, where
/// H[i, j] = (-1)^popcount(i and j) / sqrt(block), in the natural (Sylvester) order. H is symmetric and its own inverse.
/// </summary>
/// <remarks>
/// Butterflies of strides 1, 2, 4 .. block / 2, in this order, then one product with 1 / sqrt(block) rounded to float. Each sum is one
/// float addition or subtraction of the same two terms on every path, here and in the CUDA kernels, so all give the same bits.
/// </remarks>
internal static class BlockHadamard
{
    /// <summary>The largest block: what one warp holds in registers, eight values a lane.</summary>
    public const int MaxBlock = 256;

    // Floats that the vector paths keep in registers for all their strides.
    private const int Group = 64;

    /// <summary>Whether rows can be rotated in such blocks: a power of two from 2 to 256 that divides their length.</summary>
    /// <param name="columns">Length of a row, at least 1.</param>
    /// <param name="block">Length of a block.</param>
    public static bool Fits(int columns, int block) => block is >= 2 and <= MaxBlock && BitOperations.IsPow2(block) && columns % block == 0;

    /// <summary>The factor that follows the butterflies: 1 / sqrt(block), rounded once.</summary>
    public static float Normalization(int block) => (float)(1 / Math.Sqrt(block));

    /// <summary>Rotates a row, or rows that follow each other, in place.</summary>
    /// <param name="row">The values; a whole number of blocks.</param>
    /// <param name="block">A power of two from 2 to 256.</param>
    /// <exception cref="ArgumentException">The block does not fit the row.</exception>
    public static void Apply(Span<float> row, int block)
    {
        if (!Fits(row.Length, block))
        {
            throw new ArgumentException($"Blocks of {block} do not fit a row of {row.Length}.", nameof(block));
        }

        if (Vector512.IsHardwareAccelerated)
        {
            ApplyVector512(row, block);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            ApplyVector256(row, block);
        }
        else
        {
            ApplyScalar(row, block);
        }
    }

    /// <summary>The definition, and the path of machines without wide vectors.</summary>
    internal static void ApplyScalar(Span<float> row, int block)
    {
        for (int stride = 1; stride < block; stride *= 2)
        {
            for (int start = 0; start < row.Length; start += 2 * stride)
            {
                for (int i = start; i < start + stride; i++)
                {
                    (row[i], row[i + stride]) = (row[i] + row[i + stride], row[i] - row[i + stride]);
                }
            }
        }

        float factor = Normalization(block);
        for (int i = 0; i < row.Length; i++)
        {
            row[i] *= factor;
        }
    }

    /// <summary>Sixteen values at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void ApplyVector512(Span<float> row, int block)
    {
        Vector512<float> factor = Vector512.Create(Normalization(block));
        Span<Vector512<float>> vectors = MemoryMarshal.Cast<float, Vector512<float>>(row);
        int first = 0;
        if (block >= Group)
        {
            Vector512<float> groupFactor = block == Group ? factor : Vector512<float>.One;
            for (; first < vectors.Length; first += 4)
            {
                Vector512<float> a = Within(vectors[first]), b = Within(vectors[first + 1]);
                Vector512<float> c = Within(vectors[first + 2]), d = Within(vectors[first + 3]);
                (a, b, c, d) = (a + b, a - b, c + d, c - d);
                vectors[first] = (a + c) * groupFactor;
                vectors[first + 1] = (b + d) * groupFactor;
                vectors[first + 2] = (a - c) * groupFactor;
                vectors[first + 3] = (b - d) * groupFactor;
            }

            for (int stride = Group; stride < block; stride *= 2)
            {
                Across(vectors, stride / Vector512<float>.Count, 2 * stride == block ? factor : Vector512<float>.One);
            }

            return;
        }

        if (block == 32)
        {
            for (; first < vectors.Length; first += 2)
            {
                Vector512<float> a = Within(vectors[first]), b = Within(vectors[first + 1]);
                vectors[first] = (a + b) * factor;
                vectors[first + 1] = (a - b) * factor;
            }

            return;
        }

        for (; first < vectors.Length; first++)
        {
            vectors[first] = Within(vectors[first], block) * factor;
        }

        ApplyScalar(row[(first * Vector512<float>.Count)..], block);
    }

    /// <summary>Eight values at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void ApplyVector256(Span<float> row, int block)
    {
        Vector256<float> factor = Vector256.Create(Normalization(block));
        Span<Vector256<float>> vectors = MemoryMarshal.Cast<float, Vector256<float>>(row);
        int first = 0;
        if (block >= 32)
        {
            Vector256<float> groupFactor = block == 32 ? factor : Vector256<float>.One;
            for (; first < vectors.Length; first += 4)
            {
                Vector256<float> a = Within(vectors[first]), b = Within(vectors[first + 1]);
                Vector256<float> c = Within(vectors[first + 2]), d = Within(vectors[first + 3]);
                (a, b, c, d) = (a + b, a - b, c + d, c - d);
                vectors[first] = (a + c) * groupFactor;
                vectors[first + 1] = (b + d) * groupFactor;
                vectors[first + 2] = (a - c) * groupFactor;
                vectors[first + 3] = (b - d) * groupFactor;
            }

            for (int stride = 32; stride < block; stride *= 2)
            {
                Across(vectors, stride / Vector256<float>.Count, 2 * stride == block ? factor : Vector256<float>.One);
            }

            return;
        }

        if (block == 16)
        {
            for (; first < vectors.Length; first += 2)
            {
                Vector256<float> a = Within(vectors[first]), b = Within(vectors[first + 1]);
                vectors[first] = (a + b) * factor;
                vectors[first + 1] = (a - b) * factor;
            }

            return;
        }

        for (; first < vectors.Length; first++)
        {
            vectors[first] = Within(vectors[first], block) * factor;
        }

        ApplyScalar(row[(first * Vector256<float>.Count)..], block);
    }

    /// <summary>Strides 1 to 8. A lane whose stride bit is set takes the other's value less its own; the product with -1 is exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Within(Vector512<float> v)
    {
        v = Vector512.FusedMultiplyAdd(
            v, Vector512.Create(1f, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1),
            Vector512.Shuffle(v, Vector512.Create(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)));
        v = Vector512.FusedMultiplyAdd(
            v, Vector512.Create(1f, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1),
            Vector512.Shuffle(v, Vector512.Create(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)));
        v = Vector512.FusedMultiplyAdd(
            v, Vector512.Create(1f, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1),
            Vector512.Shuffle(v, Vector512.Create(4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)));
        return Vector512.FusedMultiplyAdd(
            v, Vector512.Create(1f, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1),
            Vector512.Shuffle(v, Vector512.Create(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)));
    }

    /// <summary>The strides below <paramref name="block"/>, which is at most 16.</summary>
    private static Vector512<float> Within(Vector512<float> v, int block)
    {
        Vector512<int> lanes = Vector512<int>.Indices;
        for (int stride = 1; stride < block; stride *= 2)
        {
            Vector512<int> bit = Vector512.Create(stride);
            Vector512<float> sign = Vector512.ConditionalSelect(
                Vector512.Equals(lanes & bit, bit).AsSingle(), Vector512.Create(-1f), Vector512<float>.One);
            v = Vector512.FusedMultiplyAdd(v, sign, Vector512.Shuffle(v, lanes ^ bit));
        }

        return v;
    }

    /// <summary>Strides 1 to 4.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Within(Vector256<float> v)
    {
        v = Vector256.FusedMultiplyAdd(v, Vector256.Create(1f, -1, 1, -1, 1, -1, 1, -1), Vector256.Shuffle(v, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6)));
        v = Vector256.FusedMultiplyAdd(v, Vector256.Create(1f, 1, -1, -1, 1, 1, -1, -1), Vector256.Shuffle(v, Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5)));
        return Vector256.FusedMultiplyAdd(v, Vector256.Create(1f, 1, 1, 1, -1, -1, -1, -1), Vector256.Shuffle(v, Vector256.Create(4, 5, 6, 7, 0, 1, 2, 3)));
    }

    /// <summary>The strides below <paramref name="block"/>, which is at most 8.</summary>
    private static Vector256<float> Within(Vector256<float> v, int block)
    {
        Vector256<int> lanes = Vector256<int>.Indices;
        for (int stride = 1; stride < block; stride *= 2)
        {
            Vector256<int> bit = Vector256.Create(stride);
            Vector256<float> sign = Vector256.ConditionalSelect(
                Vector256.Equals(lanes & bit, bit).AsSingle(), Vector256.Create(-1f), Vector256<float>.One);
            v = Vector256.FusedMultiplyAdd(v, sign, Vector256.Shuffle(v, lanes ^ bit));
        }

        return v;
    }

    /// <summary>One stride of whole vectors.</summary>
    private static void Across(Span<Vector512<float>> vectors, int stride, Vector512<float> factor)
    {
        for (int start = 0; start < vectors.Length; start += 2 * stride)
        {
            for (int i = start; i < start + stride; i++)
            {
                (Vector512<float> a, Vector512<float> b) = (vectors[i], vectors[i + stride]);
                vectors[i] = (a + b) * factor;
                vectors[i + stride] = (a - b) * factor;
            }
        }
    }

    /// <summary>One stride of whole vectors.</summary>
    private static void Across(Span<Vector256<float>> vectors, int stride, Vector256<float> factor)
    {
        for (int start = 0; start < vectors.Length; start += 2 * stride)
        {
            for (int i = start; i < start + stride; i++)
            {
                (Vector256<float> a, Vector256<float> b) = (vectors[i], vectors[i + stride]);
                vectors[i] = (a + b) * factor;
                vectors[i + stride] = (a - b) * factor;
            }
        }
    }
}
