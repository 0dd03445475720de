using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>Inner loops for AVX-512: a panel is four registers wide.</summary>
/// <param name="byteLookup">True where the machine has VBMI: FP8 codes are then looked up byte by byte.</param>
internal sealed unsafe class Avx512PanelMath(bool byteLookup) : PanelMath
{
    private const int Width = PackedWeights.PanelWidth, Part = PackedWeights.PartWidth;

    /// <summary>The permutation below looks at the low four bits of an index only: the code, whatever stands above it.</summary>
    private static Vector512<float> E2M1Table =>
        Vector512.Create(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void DecodeE2M1(uint* words, int columns, float* panel)
    {
        Vector512<float> table = E2M1Table;
        nint length = columns * Part;
        for (float* end = panel + length; panel < end; panel += 8 * Part)
        {
            float* place = panel;
            for (nint i = 0; i < Width; i += Part, words += Part, place += length)
            {
                WeightStream.CallLine(words);
                Vector512<int> word = Vector512.Load((int*)words);
                Avx512F.PermuteVar16x32(table, word).Store(place);
                Avx512F.PermuteVar16x32(table, word >>> 4).Store(place + Part);
                Avx512F.PermuteVar16x32(table, word >>> 8).Store(place + (2 * Part));
                Avx512F.PermuteVar16x32(table, word >>> 12).Store(place + (3 * Part));
                Avx512F.PermuteVar16x32(table, word >>> 16).Store(place + (4 * Part));
                Avx512F.PermuteVar16x32(table, word >>> 20).Store(place + (5 * Part));
                Avx512F.PermuteVar16x32(table, word >>> 24).Store(place + (6 * Part));
                Avx512F.PermuteVar16x32(table, word >>> 28).Store(place + (7 * Part));
            }
        }
    }

    public override void DecodeE4M3(uint* words, int columns, float* panel)
    {
        if (byteLookup)
        {
            DecodeE4M3(new Fp8ByteLookup(), words, columns, panel);
        }
        else
        {
            DecodeE4M3(new Fp8FloatLookup(), words, columns, panel);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DecodeE4M3<TLookup>(TLookup lookup, uint* words, int columns, float* panel)
        where TLookup : struct, IFp8Lookup
    {
        // A local is kept in registers where a parameter is not.
        TLookup tables = lookup;
        nint length = columns * Part;
        for (float* end = panel + length; panel < end; panel += 4 * Part)
        {
            float* place = panel;
            for (nint i = 0; i < Width; i += Part, words += Part, place += length)
            {
                WeightStream.CallLine(words);
                Vector512<int> word = Vector512.Load((int*)words);
                tables.Values(word, out Vector512<float> v0, out Vector512<float> v1, out Vector512<float> v2, out Vector512<float> v3);
                v0.Store(place);
                v1.Store(place + Part);
                v2.Store(place + (2 * Part));
                v3.Store(place + (3 * Part));
            }
        }
    }

    public override void Multiply(float* x, nint stride, int rows, float* panel, int columns, float* sums, float* scales, float* totals)
    {
        int whole = rows / 12 * 12;
        for (nint half = 0; half < Width; half += 2 * Part)
        {
            for (nint row = 0; row < whole; row += 12)
            {
                float* twelve = x + (row * stride);
                nint at = (row * Width) + half;
                MultiplyTwelve(
                    twelve, stride, panel + (half * columns), columns, sums + at, scales is null ? null : scales + half, totals + at);
            }
        }
        rows -= whole;
        x += whole * stride;
        sums += whole * Width;
        totals += whole * Width;
        for (; rows >= 6; rows -= 6, x += 6 * stride, sums += 6 * Width, totals += 6 * Width)
        {
            MultiplySix(x, stride, panel, columns, sums, scales, totals);
        }
        for (; rows >= 2; rows -= 2, x += 2 * stride, sums += 2 * Width, totals += 2 * Width)
        {
            MultiplyTwo(x, stride, panel, columns, sums, scales, totals);
        }
        if (rows > 0)
        {
            MultiplyOne(x, panel, columns, sums, scales, totals);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

    /// <summary>
    /// Twelve rows by half a panel: 24 sums, two weights and one value of X in 27 of the 32 registers; the weights of 256 columns stay in a
    /// first-level cache, which those of a whole panel do not.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyTwelve(float* x, nint stride, float* panel, int columns, float* sums, float* scales, float* totals)
    {
        float* x3 = x + (3 * stride), x6 = x3 + (3 * stride), x9 = x6 + (3 * stride), end = x + columns;
        nint twice = 2 * stride, length = columns * Part;
        Vector512<float> a0 = Vector512.Load(sums), a1 = Vector512.Load(sums + Part);
        Vector512<float> b0 = Vector512.Load(sums + Width), b1 = Vector512.Load(sums + Width + Part);
        Vector512<float> c0 = Vector512.Load(sums + (2 * Width)), c1 = Vector512.Load(sums + (2 * Width) + Part);
        Vector512<float> d0 = Vector512.Load(sums + (3 * Width)), d1 = Vector512.Load(sums + (3 * Width) + Part);
        Vector512<float> e0 = Vector512.Load(sums + (4 * Width)), e1 = Vector512.Load(sums + (4 * Width) + Part);
        Vector512<float> f0 = Vector512.Load(sums + (5 * Width)), f1 = Vector512.Load(sums + (5 * Width) + Part);
        Vector512<float> g0 = Vector512.Load(sums + (6 * Width)), g1 = Vector512.Load(sums + (6 * Width) + Part);
        Vector512<float> h0 = Vector512.Load(sums + (7 * Width)), h1 = Vector512.Load(sums + (7 * Width) + Part);
        Vector512<float> i0 = Vector512.Load(sums + (8 * Width)), i1 = Vector512.Load(sums + (8 * Width) + Part);
        Vector512<float> j0 = Vector512.Load(sums + (9 * Width)), j1 = Vector512.Load(sums + (9 * Width) + Part);
        Vector512<float> k0 = Vector512.Load(sums + (10 * Width)), k1 = Vector512.Load(sums + (10 * Width) + Part);
        Vector512<float> l0 = Vector512.Load(sums + (11 * Width)), l1 = Vector512.Load(sums + (11 * Width) + Part);
        for (; x < end; x++, x3++, x6++, x9++, panel += Part)
        {
            Vector512<float> w0 = Vector512.Load(panel);
            Vector512<float> w1 = Vector512.Load(panel + length);
            Vector512<float> value = Vector512.Create(x[0]);
            a0 = Vector512.FusedMultiplyAdd(value, w0, a0);
            a1 = Vector512.FusedMultiplyAdd(value, w1, a1);
            value = Vector512.Create(x[stride]);
            b0 = Vector512.FusedMultiplyAdd(value, w0, b0);
            b1 = Vector512.FusedMultiplyAdd(value, w1, b1);
            value = Vector512.Create(x[twice]);
            c0 = Vector512.FusedMultiplyAdd(value, w0, c0);
            c1 = Vector512.FusedMultiplyAdd(value, w1, c1);
            value = Vector512.Create(x3[0]);
            d0 = Vector512.FusedMultiplyAdd(value, w0, d0);
            d1 = Vector512.FusedMultiplyAdd(value, w1, d1);
            value = Vector512.Create(x3[stride]);
            e0 = Vector512.FusedMultiplyAdd(value, w0, e0);
            e1 = Vector512.FusedMultiplyAdd(value, w1, e1);
            value = Vector512.Create(x3[twice]);
            f0 = Vector512.FusedMultiplyAdd(value, w0, f0);
            f1 = Vector512.FusedMultiplyAdd(value, w1, f1);
            value = Vector512.Create(x6[0]);
            g0 = Vector512.FusedMultiplyAdd(value, w0, g0);
            g1 = Vector512.FusedMultiplyAdd(value, w1, g1);
            value = Vector512.Create(x6[stride]);
            h0 = Vector512.FusedMultiplyAdd(value, w0, h0);
            h1 = Vector512.FusedMultiplyAdd(value, w1, h1);
            value = Vector512.Create(x6[twice]);
            i0 = Vector512.FusedMultiplyAdd(value, w0, i0);
            i1 = Vector512.FusedMultiplyAdd(value, w1, i1);
            value = Vector512.Create(x9[0]);
            j0 = Vector512.FusedMultiplyAdd(value, w0, j0);
            j1 = Vector512.FusedMultiplyAdd(value, w1, j1);
            value = Vector512.Create(x9[stride]);
            k0 = Vector512.FusedMultiplyAdd(value, w0, k0);
            k1 = Vector512.FusedMultiplyAdd(value, w1, k1);
            value = Vector512.Create(x9[twice]);
            l0 = Vector512.FusedMultiplyAdd(value, w0, l0);
            l1 = Vector512.FusedMultiplyAdd(value, w1, l1);
        }
        Finish(a0, a1, sums, scales, totals);
        Finish(b0, b1, sums + Width, scales, totals + Width);
        Finish(c0, c1, sums + (2 * Width), scales, totals + (2 * Width));
        Finish(d0, d1, sums + (3 * Width), scales, totals + (3 * Width));
        Finish(e0, e1, sums + (4 * Width), scales, totals + (4 * Width));
        Finish(f0, f1, sums + (5 * Width), scales, totals + (5 * Width));
        Finish(g0, g1, sums + (6 * Width), scales, totals + (6 * Width));
        Finish(h0, h1, sums + (7 * Width), scales, totals + (7 * Width));
        Finish(i0, i1, sums + (8 * Width), scales, totals + (8 * Width));
        Finish(j0, j1, sums + (9 * Width), scales, totals + (9 * Width));
        Finish(k0, k1, sums + (10 * Width), scales, totals + (10 * Width));
        Finish(l0, l1, sums + (11 * Width), scales, totals + (11 * Width));
    }

    /// <summary>Six rows: 24 sums, four weights and one value of X in 29 of the 32 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplySix(float* x, nint stride, float* panel, int columns, float* sums, float* scales, float* totals)
    {
        float* x1 = x + stride, x2 = x1 + stride, x3 = x2 + stride, x4 = x3 + stride, x5 = x4 + stride;
        Vector512<float> a0 = Vector512.Load(sums), a1 = Vector512.Load(sums + 16), a2 = Vector512.Load(sums + 32),
            a3 = Vector512.Load(sums + 48);
        Vector512<float> b0 = Vector512.Load(sums + Width), b1 = Vector512.Load(sums + Width + 16), b2 = Vector512.Load(sums + Width + 32),
            b3 = Vector512.Load(sums + Width + 48);
        Vector512<float> c0 = Vector512.Load(sums + (2 * Width)), c1 = Vector512.Load(sums + (2 * Width) + 16),
            c2 = Vector512.Load(sums + (2 * Width) + 32), c3 = Vector512.Load(sums + (2 * Width) + 48);
        Vector512<float> d0 = Vector512.Load(sums + (3 * Width)), d1 = Vector512.Load(sums + (3 * Width) + 16),
            d2 = Vector512.Load(sums + (3 * Width) + 32), d3 = Vector512.Load(sums + (3 * Width) + 48);
        Vector512<float> e0 = Vector512.Load(sums + (4 * Width)), e1 = Vector512.Load(sums + (4 * Width) + 16),
            e2 = Vector512.Load(sums + (4 * Width) + 32), e3 = Vector512.Load(sums + (4 * Width) + 48);
        Vector512<float> f0 = Vector512.Load(sums + (5 * Width)), f1 = Vector512.Load(sums + (5 * Width) + 16),
            f2 = Vector512.Load(sums + (5 * Width) + 32), f3 = Vector512.Load(sums + (5 * Width) + 48);
        nint length = columns * Part;
        float* panel1 = panel + length, panel2 = panel1 + length, panel3 = panel2 + length;
        for (nint column = 0; column < columns; column++)
        {
            Vector512<float> w0 = Vector512.Load(panel + (column * Part));
            Vector512<float> w1 = Vector512.Load(panel1 + (column * Part));
            Vector512<float> w2 = Vector512.Load(panel2 + (column * Part));
            Vector512<float> w3 = Vector512.Load(panel3 + (column * Part));
            Vector512<float> value = Vector512.Create(x[column]);
            a0 = Vector512.FusedMultiplyAdd(value, w0, a0);
            a1 = Vector512.FusedMultiplyAdd(value, w1, a1);
            a2 = Vector512.FusedMultiplyAdd(value, w2, a2);
            a3 = Vector512.FusedMultiplyAdd(value, w3, a3);
            value = Vector512.Create(x1[column]);
            b0 = Vector512.FusedMultiplyAdd(value, w0, b0);
            b1 = Vector512.FusedMultiplyAdd(value, w1, b1);
            b2 = Vector512.FusedMultiplyAdd(value, w2, b2);
            b3 = Vector512.FusedMultiplyAdd(value, w3, b3);
            value = Vector512.Create(x2[column]);
            c0 = Vector512.FusedMultiplyAdd(value, w0, c0);
            c1 = Vector512.FusedMultiplyAdd(value, w1, c1);
            c2 = Vector512.FusedMultiplyAdd(value, w2, c2);
            c3 = Vector512.FusedMultiplyAdd(value, w3, c3);
            value = Vector512.Create(x3[column]);
            d0 = Vector512.FusedMultiplyAdd(value, w0, d0);
            d1 = Vector512.FusedMultiplyAdd(value, w1, d1);
            d2 = Vector512.FusedMultiplyAdd(value, w2, d2);
            d3 = Vector512.FusedMultiplyAdd(value, w3, d3);
            value = Vector512.Create(x4[column]);
            e0 = Vector512.FusedMultiplyAdd(value, w0, e0);
            e1 = Vector512.FusedMultiplyAdd(value, w1, e1);
            e2 = Vector512.FusedMultiplyAdd(value, w2, e2);
            e3 = Vector512.FusedMultiplyAdd(value, w3, e3);
            value = Vector512.Create(x5[column]);
            f0 = Vector512.FusedMultiplyAdd(value, w0, f0);
            f1 = Vector512.FusedMultiplyAdd(value, w1, f1);
            f2 = Vector512.FusedMultiplyAdd(value, w2, f2);
            f3 = Vector512.FusedMultiplyAdd(value, w3, f3);
        }
        Finish(a0, a1, a2, a3, sums, scales, totals);
        Finish(b0, b1, b2, b3, sums + Width, scales, totals + Width);
        Finish(c0, c1, c2, c3, sums + (2 * Width), scales, totals + (2 * Width));
        Finish(d0, d1, d2, d3, sums + (3 * Width), scales, totals + (3 * Width));
        Finish(e0, e1, e2, e3, sums + (4 * Width), scales, totals + (4 * Width));
        Finish(f0, f1, f2, f3, sums + (5 * Width), scales, totals + (5 * Width));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyTwo(float* x, nint stride, float* panel, int columns, float* sums, float* scales, float* totals)
    {
        float* x1 = x + stride;
        Vector512<float> a0 = Vector512.Load(sums), a1 = Vector512.Load(sums + 16), a2 = Vector512.Load(sums + 32),
            a3 = Vector512.Load(sums + 48);
        Vector512<float> b0 = Vector512.Load(sums + Width), b1 = Vector512.Load(sums + Width + 16), b2 = Vector512.Load(sums + Width + 32),
            b3 = Vector512.Load(sums + Width + 48);
        nint length = columns * Part;
        float* panel1 = panel + length, panel2 = panel1 + length, panel3 = panel2 + length;
        for (nint column = 0; column < columns; column++)
        {
            Vector512<float> w0 = Vector512.Load(panel + (column * Part));
            Vector512<float> w1 = Vector512.Load(panel1 + (column * Part));
            Vector512<float> w2 = Vector512.Load(panel2 + (column * Part));
            Vector512<float> w3 = Vector512.Load(panel3 + (column * Part));
            Vector512<float> value = Vector512.Create(x[column]);
            a0 = Vector512.FusedMultiplyAdd(value, w0, a0);
            a1 = Vector512.FusedMultiplyAdd(value, w1, a1);
            a2 = Vector512.FusedMultiplyAdd(value, w2, a2);
            a3 = Vector512.FusedMultiplyAdd(value, w3, a3);
            value = Vector512.Create(x1[column]);
            b0 = Vector512.FusedMultiplyAdd(value, w0, b0);
            b1 = Vector512.FusedMultiplyAdd(value, w1, b1);
            b2 = Vector512.FusedMultiplyAdd(value, w2, b2);
            b3 = Vector512.FusedMultiplyAdd(value, w3, b3);
        }
        Finish(a0, a1, a2, a3, sums, scales, totals);
        Finish(b0, b1, b2, b3, sums + Width, scales, totals + Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyOne(float* x, float* panel, int columns, float* sums, float* scales, float* totals)
    {
        Vector512<float> a0 = Vector512.Load(sums), a1 = Vector512.Load(sums + 16), a2 = Vector512.Load(sums + 32),
            a3 = Vector512.Load(sums + 48);
        nint length = columns * Part;
        float* panel1 = panel + length, panel2 = panel1 + length, panel3 = panel2 + length;
        for (nint column = 0; column < columns; column++)
        {
            Vector512<float> value = Vector512.Create(x[column]);
            a0 = Vector512.FusedMultiplyAdd(value, Vector512.Load(panel + (column * Part)), a0);
            a1 = Vector512.FusedMultiplyAdd(value, Vector512.Load(panel1 + (column * Part)), a1);
            a2 = Vector512.FusedMultiplyAdd(value, Vector512.Load(panel2 + (column * Part)), a2);
            a3 = Vector512.FusedMultiplyAdd(value, Vector512.Load(panel3 + (column * Part)), a3);
        }
        Finish(a0, a1, a2, a3, sums, scales, totals);
    }

    /// <summary>A row's sums for half a panel are kept for the columns that follow, or, with scales, added to the totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(Vector512<float> s0, Vector512<float> s1, float* sums, float* scales, float* totals)
    {
        if (scales is not null)
        {
            Vector512.FusedMultiplyAdd(s0, Vector512.Load(scales), Vector512.Load(totals)).Store(totals);
            Vector512.FusedMultiplyAdd(s1, Vector512.Load(scales + Part), Vector512.Load(totals + Part)).Store(totals + Part);
            s0 = s1 = Vector512<float>.Zero;
        }
        s0.Store(sums);
        s1.Store(sums + Part);
    }

    /// <summary>A row's sums are kept for the columns that follow, or, with scales, added to the totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(
        Vector512<float> s0, Vector512<float> s1, Vector512<float> s2, Vector512<float> s3, float* sums, float* scales, float* totals)
    {
        if (scales is not null)
        {
            Vector512.FusedMultiplyAdd(s0, Vector512.Load(scales), Vector512.Load(totals)).Store(totals);
            Vector512.FusedMultiplyAdd(s1, Vector512.Load(scales + 16), Vector512.Load(totals + 16)).Store(totals + 16);
            Vector512.FusedMultiplyAdd(s2, Vector512.Load(scales + 32), Vector512.Load(totals + 32)).Store(totals + 32);
            Vector512.FusedMultiplyAdd(s3, Vector512.Load(scales + 48), Vector512.Load(totals + 48)).Store(totals + 48);
            s0 = s1 = s2 = s3 = Vector512<float>.Zero;
        }
        s0.Store(sums);
        s1.Store(sums + 16);
        s2.Store(sums + 32);
        s3.Store(sums + 48);
    }
}
