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
    public static void Apply(Span<float> row, int block) => Apply(row, row, block);

    /// <summary>Rotates a row, or rows that follow each other.</summary>
    /// <param name="source">The values; a whole number of blocks.</param>
    /// <param name="target">Receives them rotated; as long as the source, and apart from it or the same.</param>
    /// <param name="block">A power of two from 2 to 256.</param>
    /// <exception cref="ArgumentException">The block does not fit the row, or the lengths differ.</exception>
    public static void Apply(ReadOnlySpan<float> source, Span<float> target, int block)
    {
        Require(source, target, block);
        if (Vector512.IsHardwareAccelerated)
        {
            ApplyVector512(source, target, block);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            ApplyVector256(source, target, block);
        }
        else
        {
            ApplyScalar(source, target, block);
        }
    }

    /// <summary>The same, and says what the largest magnitude of the rotated values is; NaN where one is among them.</summary>
    /// <param name="source">The values; a whole number of blocks.</param>
    /// <param name="target">Receives them rotated; as long as the source, and apart from it or the same.</param>
    /// <param name="block">A power of two from 2 to 256.</param>
    /// <exception cref="ArgumentException">The block does not fit the row, or the lengths differ.</exception>
    public static float ApplyAndMeasure(ReadOnlySpan<float> source, Span<float> target, int block)
    {
        Require(source, target, block);
        return Vector512.IsHardwareAccelerated && block >= WideBlocks.Smallest ? WideBlocks.Apply512(source, target, block)
            : Vector256.IsHardwareAccelerated && block >= WideBlocks.Smallest ? WideBlocks.Apply256(source, target, block)
            : ApplyThenMeasure(source, target, block);
    }

    /// <summary>In two steps, for small blocks.</summary>
    internal static float ApplyThenMeasure(ReadOnlySpan<float> source, Span<float> target, int block)
    {
        Apply(source, target, block);
        int largest = 0;
        foreach (float value in target)
        {
            // Without their signs floats order as their bit patterns do, and NaN stands above infinity.
            largest = Math.Max(largest, BitConverter.SingleToInt32Bits(value) & int.MaxValue);
        }

        return BitConverter.Int32BitsToSingle(largest);
    }

    /// <summary>The definition, and the path of machines without wide vectors.</summary>
    internal static void ApplyScalar(ReadOnlySpan<float> source, Span<float> target, int block)
    {
        source.CopyTo(target);
        for (int stride = 1; stride < block; stride *= 2)
        {
            for (int start = 0; start < target.Length; start += 2 * stride)
            {
                for (int i = start; i < start + stride; i++)
                {
                    (target[i], target[i + stride]) = (target[i] + target[i + stride], target[i] - target[i + stride]);
                }
            }
        }

        float factor = Normalization(block);
        for (int i = 0; i < target.Length; i++)
        {
            target[i] *= factor;
        }
    }

    private static void Require(ReadOnlySpan<float> source, ReadOnlySpan<float> target, int block)
    {
        if (!Fits(source.Length, block) || target.Length != source.Length)
        {
            throw new ArgumentException($"Blocks of {block} do not fit rows of {source.Length} and {target.Length}.", nameof(block));
        }
    }

    /// <summary>Sixteen values at a time.</summary>
    [MethodImpl(HotLoop.Options)]
    internal static void ApplyVector512(ReadOnlySpan<float> source, Span<float> target, int block)
    {
        const int Lanes = 16;
        Vector512<float> factor = Vector512.Create(Normalization(block));
        ref float from = ref MemoryMarshal.GetReference(source);
        ref float to = ref MemoryMarshal.GetReference(target);
        nuint i = 0, end = (nuint)source.Length;
        if (block >= WideBlocks.Smallest)
        {
            WideBlocks.Apply512(source, target, block);
            return;
        }

        if (block == 2 * Lanes)
        {
            for (; i < end; i += 2 * Lanes)
            {
                Vector512<float> a = Within(Vector512.LoadUnsafe(ref from, i)), b = Within(Vector512.LoadUnsafe(ref from, i + Lanes));
                ((a + b) * factor).StoreUnsafe(ref to, i);
                ((a - b) * factor).StoreUnsafe(ref to, i + Lanes);
            }

            return;
        }

        for (; i + Lanes <= end; i += Lanes)
        {
            (Within(Vector512.LoadUnsafe(ref from, i), block) * factor).StoreUnsafe(ref to, i);
        }

        ApplyScalar(source[(int)i..], target[(int)i..], block);
    }

    /// <summary>Eight values at a time.</summary>
    [MethodImpl(HotLoop.Options)]
    internal static void ApplyVector256(ReadOnlySpan<float> source, Span<float> target, int block)
    {
        const int Lanes = 8, Group = 4 * Lanes;
        Vector256<float> factor = Vector256.Create(Normalization(block));
        ref float from = ref MemoryMarshal.GetReference(source);
        ref float to = ref MemoryMarshal.GetReference(target);
        nuint i = 0, end = (nuint)source.Length;
        if (block >= WideBlocks.Smallest)
        {
            WideBlocks.Apply256(source, target, block);
            return;
        }

        if (block == Group)
        {
            for (; i < end; i += Group)
            {
                Vector256<float> a = Within(Vector256.LoadUnsafe(ref from, i)), b = Within(Vector256.LoadUnsafe(ref from, i + Lanes));
                Vector256<float> c = Within(Vector256.LoadUnsafe(ref from, i + (2 * Lanes)));
                Vector256<float> d = Within(Vector256.LoadUnsafe(ref from, i + (3 * Lanes)));
                (a, b, c, d) = (a + b, a - b, c + d, c - d);
                ((a + c) * factor).StoreUnsafe(ref to, i);
                ((b + d) * factor).StoreUnsafe(ref to, i + Lanes);
                ((a - c) * factor).StoreUnsafe(ref to, i + (2 * Lanes));
                ((b - d) * factor).StoreUnsafe(ref to, i + (3 * Lanes));
            }

            return;
        }

        if (block == 2 * Lanes)
        {
            for (; i < end; i += 2 * Lanes)
            {
                Vector256<float> a = Within(Vector256.LoadUnsafe(ref from, i)), b = Within(Vector256.LoadUnsafe(ref from, i + Lanes));
                ((a + b) * factor).StoreUnsafe(ref to, i);
                ((a - b) * factor).StoreUnsafe(ref to, i + Lanes);
            }

            return;
        }

        for (; i + Lanes <= end; i += Lanes)
        {
            (Within(Vector256.LoadUnsafe(ref from, i), block) * factor).StoreUnsafe(ref to, i);
        }

        ApplyScalar(source[(int)i..], target[(int)i..], block);
    }

    /// <summary>
    /// Strides 1 to 8. A lane whose stride bit is set takes the other's value less its own; the product with -1 is exact.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Within(Vector512<float> v)
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
    internal static Vector256<float> Within(Vector256<float> v)
    {
        v = Vector256.FusedMultiplyAdd(
            v, Vector256.Create(1f, -1, 1, -1, 1, -1, 1, -1), Vector256.Shuffle(v, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6)));
        v = Vector256.FusedMultiplyAdd(
            v, Vector256.Create(1f, 1, -1, -1, 1, 1, -1, -1), Vector256.Shuffle(v, Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5)));
        return Vector256.FusedMultiplyAdd(
            v, Vector256.Create(1f, 1, 1, 1, -1, -1, -1, -1), Vector256.Shuffle(v, Vector256.Create(4, 5, 6, 7, 0, 1, 2, 3)));
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
}
