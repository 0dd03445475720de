using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Inner loops for AVX-512: a panel is four registers wide, a strip of it two.</summary>
/// <param name="byteLookup">True where the machine has VBMI: FP8 codes are then looked up byte by byte.</param>
internal sealed unsafe class Avx512PanelMath(bool byteLookup) : PanelMath
{
    private const int Width = PackedWeights.PanelWidth, Part = PackedWeights.PartWidth, Strip = 2 * Part;

    private const int Line = 64 / sizeof(float);

    /// <summary>The permutation below looks at the low four bits of an index only: the code, whatever stands above it.</summary>
    private static Vector512<float> E2M1Table =>
        Vector512.Create(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6);

    public override int StripWidth => Strip;

    public override int RowUnit => 4;

    [MethodImpl(HotLoop.Options)]
    public override void DecodeE2M1(uint* words, int columns, float* strip)
    {
        Vector512<float> table = E2M1Table;
        for (float* end = strip + (columns * Strip); strip < end; strip += 8 * Strip, words += Width)
        {
            for (nint i = 0; i < Strip; i += Part)
            {
                WeightStream.CallLine(words + i);
                Vector512<int> word = Vector512.Load((int*)words + i);
                float* place = strip + i;
                Avx512F.PermuteVar16x32(table, word).Store(place);
                Avx512F.PermuteVar16x32(table, word >>> 4).Store(place + Strip);
                Avx512F.PermuteVar16x32(table, word >>> 8).Store(place + (2 * Strip));
                Avx512F.PermuteVar16x32(table, word >>> 12).Store(place + (3 * Strip));
                Avx512F.PermuteVar16x32(table, word >>> 16).Store(place + (4 * Strip));
                Avx512F.PermuteVar16x32(table, word >>> 20).Store(place + (5 * Strip));
                Avx512F.PermuteVar16x32(table, word >>> 24).Store(place + (6 * Strip));
                Avx512F.PermuteVar16x32(table, word >>> 28).Store(place + (7 * Strip));
            }
        }
    }

    public override void DecodeE4M3(uint* words, int columns, float* strip)
    {
        if (byteLookup)
        {
            DecodeE4M3(new Fp8ByteLookup(), words, columns, strip);
        }
        else
        {
            DecodeE4M3(new Fp8FloatLookup(), words, columns, strip);
        }
    }

    [MethodImpl(HotLoop.Options)]
    private static void DecodeE4M3<TLookup>(TLookup lookup, uint* words, int columns, float* strip)
        where TLookup : struct, IFp8Lookup
    {
        // A local is kept in registers where a parameter is not.
        TLookup tables = lookup;
        for (float* end = strip + (columns * Strip); strip < end; strip += 4 * Strip, words += Width)
        {
            for (nint i = 0; i < Strip; i += Part)
            {
                WeightStream.CallLine(words + i);
                Vector512<int> word = Vector512.Load((int*)words + i);
                float* place = strip + i;
                tables.Values(word, out Vector512<float> v0, out Vector512<float> v1, out Vector512<float> v2, out Vector512<float> v3);
                v0.Store(place);
                v1.Store(place + Strip);
                v2.Store(place + (2 * Strip));
                v3.Store(place + (3 * Strip));
            }
        }
    }

    public override void Multiply(float* x, in RowTiles tiles, float* strip, int columns, float* scales, float* totals)
    {
        int row = 0;
        for (; row < tiles.LargeRows; row += 12)
        {
            MultiplyTwelve(x + ((nint)row * columns), strip, columns, scales, totals + (row * Strip));
        }

        for (; row < tiles.Rows; row += tiles.SmallTile)
        {
            if (tiles.SmallTile == 8)
            {
                MultiplyEight(x + ((nint)row * columns), strip, columns, scales, totals + (row * Strip));
            }
            else
            {
                MultiplyFour(x + ((nint)row * columns), strip, columns, scales, totals + (row * Strip));
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRowE2M1(float* x, PackedWeights weights, int panel, float* totals)
    {
        // No call inside the loops: a call takes all vector registers, and what lives across it is stored at every step.
        int* firstWord = (int*)weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        Vector512<float> table = E2M1Table;
        Vector512<float> t0 = Vector512<float>.Zero, t1 = t0, t2 = t0, t3 = t0;
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            int* words = firstWord + ((nint)chunk.Start / 8 * Width);
            float* values = x + chunk.Start;
            float* end = values + chunk.Length;
            Vector512<float> c0 = Vector512<float>.Zero, c1 = c0, c2 = c0, c3 = c0;
            for (; values < end; values += 8, words += Width)
            {
                Vector512<int> w0 = Vector512.Load(words);
                Vector512<int> w1 = Vector512.Load(words + 16);
                Vector512<int> w2 = Vector512.Load(words + 32);
                Vector512<int> w3 = Vector512.Load(words + 48);
                WeightStream.CallRow((uint*)words);
                Step(ref c0, ref c1, ref c2, ref c3, table, values[0], w0, w1, w2, w3);
                Step(ref c0, ref c1, ref c2, ref c3, table, values[1], w0 >>> 4, w1 >>> 4, w2 >>> 4, w3 >>> 4);
                Step(ref c0, ref c1, ref c2, ref c3, table, values[2], w0 >>> 8, w1 >>> 8, w2 >>> 8, w3 >>> 8);
                Step(ref c0, ref c1, ref c2, ref c3, table, values[3], w0 >>> 12, w1 >>> 12, w2 >>> 12, w3 >>> 12);
                Step(ref c0, ref c1, ref c2, ref c3, table, values[4], w0 >>> 16, w1 >>> 16, w2 >>> 16, w3 >>> 16);
                Step(ref c0, ref c1, ref c2, ref c3, table, values[5], w0 >>> 20, w1 >>> 20, w2 >>> 20, w3 >>> 20);
                Step(ref c0, ref c1, ref c2, ref c3, table, values[6], w0 >>> 24, w1 >>> 24, w2 >>> 24, w3 >>> 24);
                Step(ref c0, ref c1, ref c2, ref c3, table, values[7], w0 >>> 28, w1 >>> 28, w2 >>> 28, w3 >>> 28);
            }
            float* scales = firstScale + ((nint)chunk.Group * Width);
            t0 = Vector512.FusedMultiplyAdd(c0, Vector512.Load(scales), t0);
            t1 = Vector512.FusedMultiplyAdd(c1, Vector512.Load(scales + 16), t1);
            t2 = Vector512.FusedMultiplyAdd(c2, Vector512.Load(scales + 32), t2);
            t3 = Vector512.FusedMultiplyAdd(c3, Vector512.Load(scales + 48), t3);
        }
        t0.Store(totals);
        t1.Store(totals + 16);
        t2.Store(totals + 32);
        t3.Store(totals + 48);
    }

    public override void MultiplyRowE4M3(float* x, PackedWeights weights, int panel, float* totals)
    {
        if (byteLookup)
        {
            MultiplyRowE4M3(new Fp8ByteLookup(), x, weights, panel, totals);
        }
        else
        {
            MultiplyRowE4M3(new Fp8FloatLookup(), x, weights, panel, totals);
        }
    }

    [MethodImpl(HotLoop.Options)]
    private static void MultiplyRowE4M3<TLookup>(TLookup lookup, float* x, PackedWeights weights, int panel, float* totals)
        where TLookup : struct, IFp8Lookup
    {
        // A local is kept in registers where a parameter is not.
        TLookup tables = lookup;
        int* firstWord = (int*)weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        Vector512<float> t0 = Vector512<float>.Zero, t1 = t0, t2 = t0, t3 = t0;
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            int* words = firstWord + ((nint)chunk.Start / 4 * Width);
            float* values = x + chunk.Start;
            float* end = values + chunk.Length;
            Vector512<float> c0 = Vector512<float>.Zero, c1 = c0, c2 = c0, c3 = c0;
            for (; values < end; values += 4, words += Width)
            {
                Vector512<int> w0 = Vector512.Load(words);
                Vector512<int> w1 = Vector512.Load(words + 16);
                Vector512<int> w2 = Vector512.Load(words + 32);
                Vector512<int> w3 = Vector512.Load(words + 48);
                WeightStream.CallRow((uint*)words);
                Vector512<float> x0 = Vector512.Create(values[0]), x1 = Vector512.Create(values[1]), x2 = Vector512.Create(values[2]),
                    x3 = Vector512.Create(values[3]);
                Step(tables, ref c0, w0, x0, x1, x2, x3);
                Step(tables, ref c1, w1, x0, x1, x2, x3);
                Step(tables, ref c2, w2, x0, x1, x2, x3);
                Step(tables, ref c3, w3, x0, x1, x2, x3);
            }
            float* scales = firstScale + ((nint)chunk.Group * Width);
            t0 = Vector512.FusedMultiplyAdd(c0, Vector512.Load(scales), t0);
            t1 = Vector512.FusedMultiplyAdd(c1, Vector512.Load(scales + 16), t1);
            t2 = Vector512.FusedMultiplyAdd(c2, Vector512.Load(scales + 32), t2);
            t3 = Vector512.FusedMultiplyAdd(c3, Vector512.Load(scales + 48), t3);
        }
        t0.Store(totals);
        t1.Store(totals + 16);
        t2.Store(totals + 32);
        t3.Store(totals + 48);
    }

    [MethodImpl(HotLoop.Options)]
    public override void Project(float* x, float* a, int length, int rows, float* results)
    {
        for (int row = 0; row < rows; row += 8, a += 8 * (nint)length, results += 8)
        {
            Vector512<float> s0 = Vector512<float>.Zero, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
            float* a4 = a + (4 * (nint)length);
            for (nint i = 0; i < length; i += 16)
            {
                Vector512<float> value = Vector512.Load(x + i);
                s0 = Vector512.FusedMultiplyAdd(value, Vector512.Load(a + i), s0);
                s1 = Vector512.FusedMultiplyAdd(value, Vector512.Load(a + length + i), s1);
                s2 = Vector512.FusedMultiplyAdd(value, Vector512.Load(a + (2 * (nint)length) + i), s2);
                s3 = Vector512.FusedMultiplyAdd(value, Vector512.Load(a + (3 * (nint)length) + i), s3);
                s4 = Vector512.FusedMultiplyAdd(value, Vector512.Load(a4 + i), s4);
                s5 = Vector512.FusedMultiplyAdd(value, Vector512.Load(a4 + length + i), s5);
                s6 = Vector512.FusedMultiplyAdd(value, Vector512.Load(a4 + (2 * (nint)length) + i), s6);
                s7 = Vector512.FusedMultiplyAdd(value, Vector512.Load(a4 + (3 * (nint)length) + i), s7);
            }
            results[0] = Sum(s0);
            results[1] = Sum(s1);
            results[2] = Sum(s2);
            results[3] = Sum(s3);
            results[4] = Sum(s4);
            results[5] = Sum(s5);
            results[6] = Sum(s6);
            results[7] = Sum(s7);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Sum(Vector512<float> chains) => Avx2PanelMath.Sum(chains.GetLower() + chains.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(
        ref Vector512<float> c0, ref Vector512<float> c1, ref Vector512<float> c2, ref Vector512<float> c3,
        Vector512<float> table, float x, Vector512<int> w0, Vector512<int> w1, Vector512<int> w2, Vector512<int> w3)
    {
        Vector512<float> value = Vector512.Create(x);
        c0 = Vector512.FusedMultiplyAdd(value, Avx512F.PermuteVar16x32(table, w0), c0);
        c1 = Vector512.FusedMultiplyAdd(value, Avx512F.PermuteVar16x32(table, w1), c1);
        c2 = Vector512.FusedMultiplyAdd(value, Avx512F.PermuteVar16x32(table, w2), c2);
        c3 = Vector512.FusedMultiplyAdd(value, Avx512F.PermuteVar16x32(table, w3), c3);
    }

    /// <summary>A sum goes on by four columns of sixteen rows, each a fused multiply-add, in the order of the columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<TLookup>(
        TLookup tables, ref Vector512<float> sum, Vector512<int> words, Vector512<float> x0, Vector512<float> x1,
        Vector512<float> x2, Vector512<float> x3)
        where TLookup : struct, IFp8Lookup
    {
        tables.Values(words, out Vector512<float> v0, out Vector512<float> v1, out Vector512<float> v2, out Vector512<float> v3);
        sum = Vector512.FusedMultiplyAdd(x0, v0, sum);
        sum = Vector512.FusedMultiplyAdd(x1, v1, sum);
        sum = Vector512.FusedMultiplyAdd(x2, v2, sum);
        sum = Vector512.FusedMultiplyAdd(x3, v3, sum);
    }

    /// <summary>24 sums, two weights and one value of X in 27 of the 32 registers.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyTwelve(float* x, float* strip, int columns, float* scales, float* totals)
    {
        const int Rows = 12;
        CallTotals(totals, Rows);
        Vector512<float> a0 = Vector512<float>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0,
            f0 = a0, f1 = a0, g0 = a0, g1 = a0, h0 = a0, h1 = a0, i0 = a0, i1 = a0, j0 = a0, j1 = a0, k0 = a0, k1 = a0, l0 = a0,
            l1 = a0;
        for (float* end = strip + (columns * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector512<float> w0 = Vector512.Load(strip), w1 = Vector512.Load(strip + Part);
            Vector512<float> value = Vector512.Create(x[0]);
            a0 = Vector512.FusedMultiplyAdd(value, w0, a0);
            a1 = Vector512.FusedMultiplyAdd(value, w1, a1);
            value = Vector512.Create(x[1]);
            b0 = Vector512.FusedMultiplyAdd(value, w0, b0);
            b1 = Vector512.FusedMultiplyAdd(value, w1, b1);
            value = Vector512.Create(x[2]);
            c0 = Vector512.FusedMultiplyAdd(value, w0, c0);
            c1 = Vector512.FusedMultiplyAdd(value, w1, c1);
            value = Vector512.Create(x[3]);
            d0 = Vector512.FusedMultiplyAdd(value, w0, d0);
            d1 = Vector512.FusedMultiplyAdd(value, w1, d1);
            value = Vector512.Create(x[4]);
            e0 = Vector512.FusedMultiplyAdd(value, w0, e0);
            e1 = Vector512.FusedMultiplyAdd(value, w1, e1);
            value = Vector512.Create(x[5]);
            f0 = Vector512.FusedMultiplyAdd(value, w0, f0);
            f1 = Vector512.FusedMultiplyAdd(value, w1, f1);
            value = Vector512.Create(x[6]);
            g0 = Vector512.FusedMultiplyAdd(value, w0, g0);
            g1 = Vector512.FusedMultiplyAdd(value, w1, g1);
            value = Vector512.Create(x[7]);
            h0 = Vector512.FusedMultiplyAdd(value, w0, h0);
            h1 = Vector512.FusedMultiplyAdd(value, w1, h1);
            value = Vector512.Create(x[8]);
            i0 = Vector512.FusedMultiplyAdd(value, w0, i0);
            i1 = Vector512.FusedMultiplyAdd(value, w1, i1);
            value = Vector512.Create(x[9]);
            j0 = Vector512.FusedMultiplyAdd(value, w0, j0);
            j1 = Vector512.FusedMultiplyAdd(value, w1, j1);
            value = Vector512.Create(x[10]);
            k0 = Vector512.FusedMultiplyAdd(value, w0, k0);
            k1 = Vector512.FusedMultiplyAdd(value, w1, k1);
            value = Vector512.Create(x[11]);
            l0 = Vector512.FusedMultiplyAdd(value, w0, l0);
            l1 = Vector512.FusedMultiplyAdd(value, w1, l1);
        }

        Vector512<float> s0 = Vector512.Load(scales), s1 = Vector512.Load(scales + Part);
        Add(a0, a1, s0, s1, totals);
        Add(b0, b1, s0, s1, totals + Strip);
        Add(c0, c1, s0, s1, totals + (2 * Strip));
        Add(d0, d1, s0, s1, totals + (3 * Strip));
        Add(e0, e1, s0, s1, totals + (4 * Strip));
        Add(f0, f1, s0, s1, totals + (5 * Strip));
        Add(g0, g1, s0, s1, totals + (6 * Strip));
        Add(h0, h1, s0, s1, totals + (7 * Strip));
        Add(i0, i1, s0, s1, totals + (8 * Strip));
        Add(j0, j1, s0, s1, totals + (9 * Strip));
        Add(k0, k1, s0, s1, totals + (10 * Strip));
        Add(l0, l1, s0, s1, totals + (11 * Strip));
    }

    /// <summary>Sixteen sums.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyEight(float* x, float* strip, int columns, float* scales, float* totals)
    {
        const int Rows = 8;
        CallTotals(totals, Rows);
        Vector512<float> a0 = Vector512<float>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0,
            f0 = a0, f1 = a0, g0 = a0, g1 = a0, h0 = a0, h1 = a0;
        for (float* end = strip + (columns * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector512<float> w0 = Vector512.Load(strip), w1 = Vector512.Load(strip + Part);
            Vector512<float> value = Vector512.Create(x[0]);
            a0 = Vector512.FusedMultiplyAdd(value, w0, a0);
            a1 = Vector512.FusedMultiplyAdd(value, w1, a1);
            value = Vector512.Create(x[1]);
            b0 = Vector512.FusedMultiplyAdd(value, w0, b0);
            b1 = Vector512.FusedMultiplyAdd(value, w1, b1);
            value = Vector512.Create(x[2]);
            c0 = Vector512.FusedMultiplyAdd(value, w0, c0);
            c1 = Vector512.FusedMultiplyAdd(value, w1, c1);
            value = Vector512.Create(x[3]);
            d0 = Vector512.FusedMultiplyAdd(value, w0, d0);
            d1 = Vector512.FusedMultiplyAdd(value, w1, d1);
            value = Vector512.Create(x[4]);
            e0 = Vector512.FusedMultiplyAdd(value, w0, e0);
            e1 = Vector512.FusedMultiplyAdd(value, w1, e1);
            value = Vector512.Create(x[5]);
            f0 = Vector512.FusedMultiplyAdd(value, w0, f0);
            f1 = Vector512.FusedMultiplyAdd(value, w1, f1);
            value = Vector512.Create(x[6]);
            g0 = Vector512.FusedMultiplyAdd(value, w0, g0);
            g1 = Vector512.FusedMultiplyAdd(value, w1, g1);
            value = Vector512.Create(x[7]);
            h0 = Vector512.FusedMultiplyAdd(value, w0, h0);
            h1 = Vector512.FusedMultiplyAdd(value, w1, h1);
        }

        Vector512<float> s0 = Vector512.Load(scales), s1 = Vector512.Load(scales + Part);
        Add(a0, a1, s0, s1, totals);
        Add(b0, b1, s0, s1, totals + Strip);
        Add(c0, c1, s0, s1, totals + (2 * Strip));
        Add(d0, d1, s0, s1, totals + (3 * Strip));
        Add(e0, e1, s0, s1, totals + (4 * Strip));
        Add(f0, f1, s0, s1, totals + (5 * Strip));
        Add(g0, g1, s0, s1, totals + (6 * Strip));
        Add(h0, h1, s0, s1, totals + (7 * Strip));
    }

    /// <summary>Eight sums: as many as are on their way at once.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyFour(float* x, float* strip, int columns, float* scales, float* totals)
    {
        const int Rows = 4;
        CallTotals(totals, Rows);
        Vector512<float> a0 = Vector512<float>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        for (float* end = strip + (columns * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector512<float> w0 = Vector512.Load(strip), w1 = Vector512.Load(strip + Part);
            Vector512<float> value = Vector512.Create(x[0]);
            a0 = Vector512.FusedMultiplyAdd(value, w0, a0);
            a1 = Vector512.FusedMultiplyAdd(value, w1, a1);
            value = Vector512.Create(x[1]);
            b0 = Vector512.FusedMultiplyAdd(value, w0, b0);
            b1 = Vector512.FusedMultiplyAdd(value, w1, b1);
            value = Vector512.Create(x[2]);
            c0 = Vector512.FusedMultiplyAdd(value, w0, c0);
            c1 = Vector512.FusedMultiplyAdd(value, w1, c1);
            value = Vector512.Create(x[3]);
            d0 = Vector512.FusedMultiplyAdd(value, w0, d0);
            d1 = Vector512.FusedMultiplyAdd(value, w1, d1);
        }

        Vector512<float> s0 = Vector512.Load(scales), s1 = Vector512.Load(scales + Part);
        Add(a0, a1, s0, s1, totals);
        Add(b0, b1, s0, s1, totals + Strip);
        Add(c0, c1, s0, s1, totals + (2 * Strip));
        Add(d0, d1, s0, s1, totals + (3 * Strip));
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
    private static void Add(Vector512<float> sum0, Vector512<float> sum1, Vector512<float> scale0, Vector512<float> scale1, float* totals)
    {
        Vector512.FusedMultiplyAdd(sum0, scale0, Vector512.Load(totals)).Store(totals);
        Vector512.FusedMultiplyAdd(sum1, scale1, Vector512.Load(totals + Part)).Store(totals + Part);
    }
}
