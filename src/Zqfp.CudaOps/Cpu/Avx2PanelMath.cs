using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Inner loops for AVX2 with FMA: a panel is worked on in four strips, each two registers wide.</summary>
internal sealed unsafe class Avx2PanelMath : PanelMath
{
    private const int Width = PackedWeights.PanelWidth, Strip = 16;

    private const int Line = 64 / sizeof(float);

    /// <summary>
    /// Rows of 64 words that a row's product goes through part by part: 2 KiB, so that weights are read from memory nearly in their order.
    /// </summary>
    private const int StripRows = 8;

    /// <summary>The permutation looks at the low three bits of an index: the code without its sign.</summary>
    private static Vector256<float> E2M1Magnitudes => Vector256.Create(0, 0.5f, 1, 1.5f, 2, 3, 4, 6);

    public override int StripWidth => Strip;

    public override int RowUnit => 2;

    [MethodImpl(HotLoop.Options)]
    public override void DecodeE2M1(uint* words, int columns, float* strip)
    {
        Vector256<float> magnitudes = E2M1Magnitudes;
        for (float* end = strip + (columns * Strip); strip < end; words += Width)
        {
            WeightStream.CallLine(words);
            Vector256<int> low = Vector256.Load((int*)words), high = Vector256.Load((int*)words + 8);
            for (int j = 0; j < 8; j++, strip += Strip, low >>>= 4, high >>>= 4)
            {
                ValueE2M1(magnitudes, low).Store(strip);
                ValueE2M1(magnitudes, high).Store(strip + 8);
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void DecodeE4M3(uint* words, int columns, float* strip)
    {
        for (float* end = strip + (columns * Strip); strip < end; strip += 4 * Strip, words += Width)
        {
            WeightStream.CallLine(words);
            DecodeE4M3(Vector256.Load((int*)words), strip);
            DecodeE4M3(Vector256.Load((int*)words + 8), strip + 8);
        }
    }

    /// <summary>Four columns of eight rows of W.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void DecodeE4M3(Vector256<int> word, float* strip)
    {
        ValueE4M3(word << 20, word << 24).Store(strip);
        ValueE4M3(word << 12, word << 16).Store(strip + Strip);
        ValueE4M3(word << 4, word << 8).Store(strip + (2 * Strip));
        ValueE4M3(word >>> 4, word).Store(strip + (3 * Strip));
    }

    public override void Multiply(float* x, in RowTiles tiles, float* strip, int columns, float* scales, float* totals)
    {
        int row = 0;
        for (; row < tiles.LargeRows; row += 6)
        {
            MultiplySix(x + ((nint)row * columns), strip, columns, scales, totals + (row * Strip));
        }

        for (; row < tiles.Rows; row += tiles.SmallTile)
        {
            if (tiles.SmallTile == 4)
            {
                MultiplyFour(x + ((nint)row * columns), strip, columns, scales, totals + (row * Strip));
            }
            else
            {
                MultiplyTwo(x + ((nint)row * columns), strip, columns, scales, totals + (row * Strip));
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRowE2M1(float* x, PackedWeights weights, int panel, float* totals)
    {
        new Span<float>(totals, Width).Clear();
        float* sums = stackalloc float[Width];
        int* words = (int*)weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        Vector256<float> magnitudes = E2M1Magnitudes;
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            Clear(sums);
            float* values = x + chunk.Start, end = values + chunk.Length;
            while (values < end)
            {
                float* stop = values + Math.Min(end - values, StripRows * 8);
                int* next = words + ((stop - values) / 8 * Width);
                for (nint part = 0; part < Width; part += Strip)
                {
                    Vector256<float> a0 = Vector256.Load(sums + part), a1 = Vector256.Load(sums + part + 8);
                    int* word = words + part;
                    for (float* eight = values; eight < stop; eight += 8, word += Width)
                    {
                        WeightStream.CallLine((uint*)word);
                        Vector256<int> w0 = Vector256.Load(word);
                        Vector256<int> w1 = Vector256.Load(word + 8);
                        for (int j = 0; j < 8; j++)
                        {
                            Vector256<float> value = Vector256.Create(eight[j]);
                            a0 = Fma.MultiplyAdd(value, ValueE2M1(magnitudes, w0), a0);
                            a1 = Fma.MultiplyAdd(value, ValueE2M1(magnitudes, w1), a1);
                            (w0, w1) = (w0 >>> 4, w1 >>> 4);
                        }
                    }

                    a0.Store(sums + part);
                    a1.Store(sums + part + 8);
                }

                values = stop;
                words = next;
            }

            AddSums(sums, firstScale + ((nint)chunk.Group * Width), totals);
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRowE4M3(float* x, PackedWeights weights, int panel, float* totals)
    {
        new Span<float>(totals, Width).Clear();
        float* sums = stackalloc float[Width];
        int* words = (int*)weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            Clear(sums);
            float* values = x + chunk.Start, end = values + chunk.Length;
            while (values < end)
            {
                float* stop = values + Math.Min(end - values, StripRows * 4);
                int* next = words + ((stop - values) / 4 * Width);
                for (nint part = 0; part < Width; part += Strip)
                {
                    Vector256<float> a0 = Vector256.Load(sums + part), a1 = Vector256.Load(sums + part + 8);
                    int* word = words + part;
                    for (float* four = values; four < stop; four += 4, word += Width)
                    {
                        WeightStream.CallLine((uint*)word);
                        Vector256<int> w0 = Vector256.Load(word);
                        Vector256<int> w1 = Vector256.Load(word + 8);
                        Vector256<float> value = Vector256.Create(four[0]);
                        a0 = Fma.MultiplyAdd(value, ValueE4M3(w0 << 20, w0 << 24), a0);
                        a1 = Fma.MultiplyAdd(value, ValueE4M3(w1 << 20, w1 << 24), a1);
                        value = Vector256.Create(four[1]);
                        a0 = Fma.MultiplyAdd(value, ValueE4M3(w0 << 12, w0 << 16), a0);
                        a1 = Fma.MultiplyAdd(value, ValueE4M3(w1 << 12, w1 << 16), a1);
                        value = Vector256.Create(four[2]);
                        a0 = Fma.MultiplyAdd(value, ValueE4M3(w0 << 4, w0 << 8), a0);
                        a1 = Fma.MultiplyAdd(value, ValueE4M3(w1 << 4, w1 << 8), a1);
                        value = Vector256.Create(four[3]);
                        a0 = Fma.MultiplyAdd(value, ValueE4M3(w0 >>> 4, w0), a0);
                        a1 = Fma.MultiplyAdd(value, ValueE4M3(w1 >>> 4, w1), a1);
                    }

                    a0.Store(sums + part);
                    a1.Store(sums + part + 8);
                }

                values = stop;
                words = next;
            }

            AddSums(sums, firstScale + ((nint)chunk.Group * Width), totals);
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void Project(float* x, float* a, int length, int rows, float* results)
    {
        for (int row = 0; row < rows; row += 4, a += 4 * (nint)length, results += 4)
        {
            float* a1 = a + length, a2 = a1 + length, a3 = a2 + length;
            Vector256<float> l0 = Vector256<float>.Zero, l1 = l0, l2 = l0, l3 = l0, h0 = l0, h1 = l0, h2 = l0, h3 = l0;
            for (nint i = 0; i < length; i += 16)
            {
                Vector256<float> low = Vector256.Load(x + i);
                l0 = Fma.MultiplyAdd(low, Vector256.Load(a + i), l0);
                l1 = Fma.MultiplyAdd(low, Vector256.Load(a1 + i), l1);
                l2 = Fma.MultiplyAdd(low, Vector256.Load(a2 + i), l2);
                l3 = Fma.MultiplyAdd(low, Vector256.Load(a3 + i), l3);
                Vector256<float> high = Vector256.Load(x + i + 8);
                h0 = Fma.MultiplyAdd(high, Vector256.Load(a + i + 8), h0);
                h1 = Fma.MultiplyAdd(high, Vector256.Load(a1 + i + 8), h1);
                h2 = Fma.MultiplyAdd(high, Vector256.Load(a2 + i + 8), h2);
                h3 = Fma.MultiplyAdd(high, Vector256.Load(a3 + i + 8), h3);
            }
            results[0] = Sum(l0 + h0);
            results[1] = Sum(l1 + h1);
            results[2] = Sum(l2 + h2);
            results[3] = Sum(l3 + h3);
        }
    }

    /// <summary>The sum of eight chains, added pairwise.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float Sum(Vector256<float> chains)
    {
        Vector128<float> four = chains.GetLower() + chains.GetUpper();
        Vector128<float> two = four + Vector128.Shuffle(four, Vector128.Create(2, 3, 2, 3));
        return two[0] + two[1];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> ValueE2M1(Vector256<float> magnitudes, Vector256<int> word)
    {
        Vector256<int> sign = Vector256.ShiftLeft(word, 28) & Vector256.Create(int.MinValue);
        return (Avx2.PermuteVar8x32(magnitudes, word).AsInt32() | sign).AsSingle();
    }

    /// <summary>
    /// Eight E4M3 codes. Taken as a normal number's, the bits give f = 2^(e - 7) (1 + m / 8), which is right but for e = 0; there
    /// 2 f - 2^-6 is right, and is the smaller of the two, while for other e it is not.
    /// </summary>
    /// <param name="magnitude">Its seven bits begin at bit 20; anything around them.</param>
    /// <param name="sign">Its bit is the highest; anything below it.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> ValueE4M3(Vector256<int> magnitude, Vector256<int> sign)
    {
        Vector256<float> normal = ((magnitude & Vector256.Create(0x7F << 20)) + Vector256.Create((127 - 7) << 23)).AsSingle();
        Vector256<float> value = Avx.Min(normal, Fma.MultiplyAdd(normal, Vector256.Create(2f), Vector256.Create(-1f / 64)));
        return (value.AsInt32() | (sign & Vector256.Create(int.MinValue))).AsSingle();
    }

    /// <summary>Twelve sums, two weights and one value of X in 15 of the 16 registers.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplySix(float* x, float* strip, int columns, float* scales, float* totals)
    {
        const int Rows = 6;
        CallTotals(totals, Rows);
        Vector256<float> a0 = Vector256<float>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0,
            f0 = a0, f1 = a0;
        for (float* end = strip + (columns * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector256<float> w0 = Vector256.Load(strip), w1 = Vector256.Load(strip + 8);
            Vector256<float> value = Vector256.Create(x[0]);
            a0 = Fma.MultiplyAdd(value, w0, a0);
            a1 = Fma.MultiplyAdd(value, w1, a1);
            value = Vector256.Create(x[1]);
            b0 = Fma.MultiplyAdd(value, w0, b0);
            b1 = Fma.MultiplyAdd(value, w1, b1);
            value = Vector256.Create(x[2]);
            c0 = Fma.MultiplyAdd(value, w0, c0);
            c1 = Fma.MultiplyAdd(value, w1, c1);
            value = Vector256.Create(x[3]);
            d0 = Fma.MultiplyAdd(value, w0, d0);
            d1 = Fma.MultiplyAdd(value, w1, d1);
            value = Vector256.Create(x[4]);
            e0 = Fma.MultiplyAdd(value, w0, e0);
            e1 = Fma.MultiplyAdd(value, w1, e1);
            value = Vector256.Create(x[5]);
            f0 = Fma.MultiplyAdd(value, w0, f0);
            f1 = Fma.MultiplyAdd(value, w1, f1);
        }

        Vector256<float> s0 = Vector256.Load(scales), s1 = Vector256.Load(scales + 8);
        Add(a0, a1, s0, s1, totals);
        Add(b0, b1, s0, s1, totals + Strip);
        Add(c0, c1, s0, s1, totals + (2 * Strip));
        Add(d0, d1, s0, s1, totals + (3 * Strip));
        Add(e0, e1, s0, s1, totals + (4 * Strip));
        Add(f0, f1, s0, s1, totals + (5 * Strip));
    }

    /// <summary>Eight sums: as many as are on their way at once.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyFour(float* x, float* strip, int columns, float* scales, float* totals)
    {
        const int Rows = 4;
        CallTotals(totals, Rows);
        Vector256<float> a0 = Vector256<float>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        for (float* end = strip + (columns * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector256<float> w0 = Vector256.Load(strip), w1 = Vector256.Load(strip + 8);
            Vector256<float> value = Vector256.Create(x[0]);
            a0 = Fma.MultiplyAdd(value, w0, a0);
            a1 = Fma.MultiplyAdd(value, w1, a1);
            value = Vector256.Create(x[1]);
            b0 = Fma.MultiplyAdd(value, w0, b0);
            b1 = Fma.MultiplyAdd(value, w1, b1);
            value = Vector256.Create(x[2]);
            c0 = Fma.MultiplyAdd(value, w0, c0);
            c1 = Fma.MultiplyAdd(value, w1, c1);
            value = Vector256.Create(x[3]);
            d0 = Fma.MultiplyAdd(value, w0, d0);
            d1 = Fma.MultiplyAdd(value, w1, d1);
        }

        Vector256<float> s0 = Vector256.Load(scales), s1 = Vector256.Load(scales + 8);
        Add(a0, a1, s0, s1, totals);
        Add(b0, b1, s0, s1, totals + Strip);
        Add(c0, c1, s0, s1, totals + (2 * Strip));
        Add(d0, d1, s0, s1, totals + (3 * Strip));
    }

    /// <summary>Four sums.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyTwo(float* x, float* strip, int columns, float* scales, float* totals)
    {
        const int Rows = 2;
        CallTotals(totals, Rows);
        Vector256<float> a0 = Vector256<float>.Zero, a1 = a0, b0 = a0, b1 = a0;
        for (float* end = strip + (columns * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector256<float> w0 = Vector256.Load(strip), w1 = Vector256.Load(strip + 8);
            Vector256<float> value = Vector256.Create(x[0]);
            a0 = Fma.MultiplyAdd(value, w0, a0);
            a1 = Fma.MultiplyAdd(value, w1, a1);
            value = Vector256.Create(x[1]);
            b0 = Fma.MultiplyAdd(value, w0, b0);
            b1 = Fma.MultiplyAdd(value, w1, b1);
        }

        Vector256<float> s0 = Vector256.Load(scales), s1 = Vector256.Load(scales + 8);
        Add(a0, a1, s0, s1, totals);
        Add(b0, b1, s0, s1, totals + Strip);
    }

    /// <summary>Calls for a tile's totals, which are needed when its columns are through.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CallTotals(float* totals, int rows)
    {
        for (int i = 0; i < rows * Strip; i += Line)
        {
            Sse.Prefetch0(totals + i);
        }
    }

    /// <summary>Adds a row's sums to its totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector256<float> sum0, Vector256<float> sum1, Vector256<float> scale0, Vector256<float> scale1, float* totals)
    {
        Fma.MultiplyAdd(sum0, scale0, Vector256.Load(totals)).Store(totals);
        Fma.MultiplyAdd(sum1, scale1, Vector256.Load(totals + 8)).Store(totals + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Clear(float* sums)
    {
        for (int i = 0; i < Width; i += 8)
        {
            Vector256<float>.Zero.Store(sums + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddSums(float* sums, float* scales, float* totals)
    {
        for (int i = 0; i < Width; i += Strip)
        {
            AddPart(Vector256.Load(sums + i), Vector256.Load(sums + i + 8), scales + i, totals + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddPart(Vector256<float> s0, Vector256<float> s1, float* scales, float* totals)
    {
        Fma.MultiplyAdd(s0, Vector256.Load(scales), Vector256.Load(totals)).Store(totals);
        Fma.MultiplyAdd(s1, Vector256.Load(scales + 8), Vector256.Load(totals + 8)).Store(totals + 8);
    }
}
