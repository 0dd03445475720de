using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>
/// Rotations in blocks of 64 and more: groups of four vectors, and then the strides that are left, two at a time, while a block is in the
/// first-level cache. The last step also takes the largest magnitude.
/// </summary>
internal static class WideBlocks
{
    /// <summary>The smallest block.</summary>
    public const int Smallest = 64;

    /// <summary>Sixteen values at a time.</summary>
    /// <returns>The largest magnitude, NaN above infinity.</returns>
    [MethodImpl(HotLoop.Options)]
    public static float Apply512(ReadOnlySpan<float> source, Span<float> target, int block)
    {
        const int Lanes = 16, Group = 4 * Lanes;
        Vector512<float> factor = Vector512.Create(BlockHadamard.Normalization(block));
        Vector512<int> most = Vector512<int>.Zero;
        ref float from = ref MemoryMarshal.GetReference(source);
        ref float to = ref MemoryMarshal.GetReference(target);
        nuint length = (nuint)source.Length, size = (nuint)block;
        for (nuint start = 0; start < length; start += size)
        {
            nuint end = start + size;
            for (nuint i = start; i < end; i += Group)
            {
                Vector512<float> a = BlockHadamard.Within(Vector512.LoadUnsafe(ref from, i));
                Vector512<float> b = BlockHadamard.Within(Vector512.LoadUnsafe(ref from, i + Lanes));
                Vector512<float> c = BlockHadamard.Within(Vector512.LoadUnsafe(ref from, i + (2 * Lanes)));
                Vector512<float> d = BlockHadamard.Within(Vector512.LoadUnsafe(ref from, i + (3 * Lanes)));
                (a, b, c, d) = (a + b, a - b, c + d, c - d);
                (a, b, c, d) = (a + c, b + d, a - c, b - d);
                if (block == Group)
                {
                    (a, b, c, d) = (a * factor, b * factor, c * factor, d * factor);
                    most = Most(most, a, b, c, d);
                }

                a.StoreUnsafe(ref to, i);
                b.StoreUnsafe(ref to, i + Lanes);
                c.StoreUnsafe(ref to, i + (2 * Lanes));
                d.StoreUnsafe(ref to, i + (3 * Lanes));
            }

            if (block == 2 * Group)
            {
                for (nuint i = start; i < start + Group; i += 2 * Lanes)
                {
                    Vector512<float> a = Vector512.LoadUnsafe(ref to, i), b = Vector512.LoadUnsafe(ref to, i + Group);
                    Vector512<float> c = Vector512.LoadUnsafe(ref to, i + Lanes), d = Vector512.LoadUnsafe(ref to, i + Lanes + Group);
                    (a, b, c, d) = ((a + b) * factor, (a - b) * factor, (c + d) * factor, (c - d) * factor);
                    most = Most(most, a, b, c, d);
                    a.StoreUnsafe(ref to, i);
                    b.StoreUnsafe(ref to, i + Group);
                    c.StoreUnsafe(ref to, i + Lanes);
                    d.StoreUnsafe(ref to, i + Lanes + Group);
                }
            }
            else if (block == 4 * Group)
            {
                for (nuint i = start; i < start + Group; i += Lanes)
                {
                    Vector512<float> a = Vector512.LoadUnsafe(ref to, i), b = Vector512.LoadUnsafe(ref to, i + Group);
                    Vector512<float> c = Vector512.LoadUnsafe(ref to, i + (2 * Group)), d = Vector512.LoadUnsafe(ref to, i + (3 * Group));
                    (a, b, c, d) = (a + b, a - b, c + d, c - d);
                    (a, b, c, d) = ((a + c) * factor, (b + d) * factor, (a - c) * factor, (b - d) * factor);
                    most = Most(most, a, b, c, d);
                    a.StoreUnsafe(ref to, i);
                    b.StoreUnsafe(ref to, i + Group);
                    c.StoreUnsafe(ref to, i + (2 * Group));
                    d.StoreUnsafe(ref to, i + (3 * Group));
                }
            }
        }

        return Largest(Vector256.Max(most.GetLower(), most.GetUpper()));
    }

    /// <summary>Eight values at a time.</summary>
    /// <returns>The largest magnitude, NaN above infinity.</returns>
    [MethodImpl(HotLoop.Options)]
    public static float Apply256(ReadOnlySpan<float> source, Span<float> target, int block)
    {
        const int Lanes = 8, Group = 4 * Lanes;
        Vector256<float> factor = Vector256.Create(BlockHadamard.Normalization(block));
        Vector256<int> most = Vector256<int>.Zero;
        ref float from = ref MemoryMarshal.GetReference(source);
        ref float to = ref MemoryMarshal.GetReference(target);
        nuint length = (nuint)source.Length, size = (nuint)block;
        for (nuint start = 0; start < length; start += size)
        {
            nuint end = start + size;
            for (nuint i = start; i < end; i += Group)
            {
                Vector256<float> a = BlockHadamard.Within(Vector256.LoadUnsafe(ref from, i));
                Vector256<float> b = BlockHadamard.Within(Vector256.LoadUnsafe(ref from, i + Lanes));
                Vector256<float> c = BlockHadamard.Within(Vector256.LoadUnsafe(ref from, i + (2 * Lanes)));
                Vector256<float> d = BlockHadamard.Within(Vector256.LoadUnsafe(ref from, i + (3 * Lanes)));
                (a, b, c, d) = (a + b, a - b, c + d, c - d);
                (a + c).StoreUnsafe(ref to, i);
                (b + d).StoreUnsafe(ref to, i + Lanes);
                (a - c).StoreUnsafe(ref to, i + (2 * Lanes));
                (b - d).StoreUnsafe(ref to, i + (3 * Lanes));
            }

            // Of an odd number of strides that are left one comes first.
            nuint stride = block == 4 * Group ? (nuint)Group : 2 * Group;
            if (block != 4 * Group)
            {
                bool isLast = block == 2 * Group;
                for (nuint pair = start; pair < end; pair += 2 * Group)
                {
                    for (nuint i = pair; i < pair + Group; i += Lanes)
                    {
                        Vector256<float> a = Vector256.LoadUnsafe(ref to, i), b = Vector256.LoadUnsafe(ref to, i + Group);
                        (a, b) = (a + b, a - b);
                        if (isLast)
                        {
                            (a, b) = (a * factor, b * factor);
                            most = Most(most, a, b);
                        }

                        a.StoreUnsafe(ref to, i);
                        b.StoreUnsafe(ref to, i + Group);
                    }
                }
            }

            if (block == 2 * Group)
            {
                continue;
            }

            for (nuint i = start; i < start + stride; i += Lanes)
            {
                Vector256<float> a = Vector256.LoadUnsafe(ref to, i), b = Vector256.LoadUnsafe(ref to, i + stride);
                Vector256<float> c = Vector256.LoadUnsafe(ref to, i + (2 * stride)), d = Vector256.LoadUnsafe(ref to, i + (3 * stride));
                (a, b, c, d) = (a + b, a - b, c + d, c - d);
                (a, b, c, d) = ((a + c) * factor, (b + d) * factor, (a - c) * factor, (b - d) * factor);
                most = Most(Most(most, a, b), c, d);
                a.StoreUnsafe(ref to, i);
                b.StoreUnsafe(ref to, i + stride);
                c.StoreUnsafe(ref to, i + (2 * stride));
                d.StoreUnsafe(ref to, i + (3 * stride));
            }
        }

        return Largest(most);
    }

    /// <summary>Without their signs floats order as their bit patterns do.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Most(
        Vector512<int> most, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        Vector512<int> mask = Vector512.Create(int.MaxValue);
        Vector512<int> first = Vector512.Max(a.AsInt32() & mask, b.AsInt32() & mask);
        Vector512<int> second = Vector512.Max(c.AsInt32() & mask, d.AsInt32() & mask);
        return Vector512.Max(most, Vector512.Max(first, second));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Most(Vector256<int> most, Vector256<float> a, Vector256<float> b)
    {
        Vector256<int> mask = Vector256.Create(int.MaxValue);
        return Vector256.Max(most, Vector256.Max(a.AsInt32() & mask, b.AsInt32() & mask));
    }

    private static float Largest(Vector256<int> most)
    {
        int largest = 0;
        for (int lane = 0; lane < Vector256<int>.Count; lane++)
        {
            largest = Math.Max(largest, most[lane]);
        }

        return BitConverter.Int32BitsToSingle(largest);
    }
}
