using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Inner loops for AVX-512: a panel is worked on in two strips, each two registers wide.</summary>
internal sealed unsafe class Avx512PairMath : PairMath
{
    private const int Width = PackedWeights.PanelWidth, Part = PackedWeights.PartWidth, Strip = 2 * Part;

    public override int StripWidth => Strip;

    public override int RowUnit => 4;

    /// <summary>
    /// Twice the value of each E2M1 code, twice: a lookup sees five bits of an index, the highest of which is the next code's.
    /// </summary>
    public static Vector512<short> Table
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(
            0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12, 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, (short)-12);
    }

    /// <summary>The four pairs of weights of each of sixteen words, in the order of <see cref="TokenPairs"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Split(
        Vector512<short> table, int* words, out Vector512<short> w0, out Vector512<short> w1, out Vector512<short> w2,
        out Vector512<short> w3)
    {
        Vector512<short> word = Vector512.Load(words).AsInt16();
        w0 = Avx512BW.PermuteVar32x16(table, word);
        w1 = Avx512BW.PermuteVar32x16(table, word >>> 4);
        w2 = Avx512BW.PermuteVar32x16(table, word >>> 8);
        w3 = Avx512BW.PermuteVar32x16(table, word >>> 12);
    }

    /// <summary>Adds the sums of a chunk for sixteen rows of W to their totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Total(Vector512<int> sum, int place, Vector512<int> start, float* scales, Vector512<float> total)
    {
        Vector512<float> value = Vector512.ConvertToSingle((sum << place) + start) * Vector512.Create(TokenDigits.Unit);
        return Vector512.FusedMultiplyAdd(value, Vector512.Load(scales), total);
    }

    [MethodImpl(HotLoop.Options)]
    public override void Decode(uint* words, int columns, int* strip)
    {
        Vector512<short> table = Table;
        for (int* end = strip + (columns / 2 * Strip); strip < end; strip += 4 * Strip, words += Width)
        {
            for (nint i = 0; i < Strip; i += Part)
            {
                WeightStream.CallLine(words + i);
                Split(table, (int*)words + i, out Vector512<short> w0, out Vector512<short> w1, out Vector512<short> w2,
                    out Vector512<short> w3);
                w0.AsInt32().Store(strip + i);
                w1.AsInt32().Store(strip + Strip + i);
                w2.AsInt32().Store(strip + (2 * Strip) + i);
                w3.AsInt32().Store(strip + (3 * Strip) + i);
            }
        }
    }

    public override void Multiply(
        float* x, in RowTiles tiles, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        int row = 0;
        for (; row < tiles.LargeRows; row += 12)
        {
            int* tile = (int*)x + ((nint)row * pairs);
            MultiplyTwelve(tile, strip, pairs, places + row, starts + (row * Strip), scales, totals + (row * Strip));
        }

        for (; row < tiles.Rows; row += tiles.SmallTile)
        {
            int* tile = (int*)x + ((nint)row * pairs);
            if (tiles.SmallTile == 8)
            {
                MultiplyEight(tile, strip, pairs, places + row, starts + (row * Strip), scales, totals + (row * Strip));
            }
            else
            {
                MultiplyFour(tile, strip, pairs, places + row, starts + (row * Strip), scales, totals + (row * Strip));
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void Start(TokenPairs.Rest* rests, int count, int* strip, int* starts)
    {
        Vector512<int> sum0 = Vector512<int>.Zero, sum1 = sum0;
        for (TokenPairs.Rest* end = rests + count; rests < end; rests++)
        {
            Vector512<short> value = Vector512.Create(rests->Value).AsInt16();
            int* weights = strip + (rests->Pair * Strip);
            sum0 += Avx512BW.MultiplyAddAdjacent(Vector512.Load(weights).AsInt16(), value);
            sum1 += Avx512BW.MultiplyAddAdjacent(Vector512.Load(weights + Part).AsInt16(), value);
        }

        sum0.Store(starts);
        sum1.Store(starts + Part);
    }

    /// <summary>24 sums, two weights, one value of X and a product in 28 of the 32 registers.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyTwelve(int* x, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        const int Rows = 12;
        Vector512<int> a0 = Vector512<int>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0,
            f0 = a0, f1 = a0, g0 = a0, g1 = a0, h0 = a0, h1 = a0, i0 = a0, i1 = a0, j0 = a0, j1 = a0, k0 = a0, k1 = a0, l0 = a0,
            l1 = a0;
        for (int* end = strip + (pairs * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector512<short> w0 = Vector512.Load(strip).AsInt16(), w1 = Vector512.Load(strip + Part).AsInt16();
            Step(ref a0, ref a1, ref b0, ref b1, w0, w1, x);
            Step(ref c0, ref c1, ref d0, ref d1, w0, w1, x + 2);
            Step(ref e0, ref e1, ref f0, ref f1, w0, w1, x + 4);
            Step(ref g0, ref g1, ref h0, ref h1, w0, w1, x + 6);
            Step(ref i0, ref i1, ref j0, ref j1, w0, w1, x + 8);
            Step(ref k0, ref k1, ref l0, ref l1, w0, w1, x + 10);
        }

        Add(a0, a1, places[0], starts, scales, totals);
        Add(b0, b1, places[1], starts + Strip, scales, totals + Strip);
        Add(c0, c1, places[2], starts + (2 * Strip), scales, totals + (2 * Strip));
        Add(d0, d1, places[3], starts + (3 * Strip), scales, totals + (3 * Strip));
        Add(e0, e1, places[4], starts + (4 * Strip), scales, totals + (4 * Strip));
        Add(f0, f1, places[5], starts + (5 * Strip), scales, totals + (5 * Strip));
        Add(g0, g1, places[6], starts + (6 * Strip), scales, totals + (6 * Strip));
        Add(h0, h1, places[7], starts + (7 * Strip), scales, totals + (7 * Strip));
        Add(i0, i1, places[8], starts + (8 * Strip), scales, totals + (8 * Strip));
        Add(j0, j1, places[9], starts + (9 * Strip), scales, totals + (9 * Strip));
        Add(k0, k1, places[10], starts + (10 * Strip), scales, totals + (10 * Strip));
        Add(l0, l1, places[11], starts + (11 * Strip), scales, totals + (11 * Strip));
    }

    /// <summary>Sixteen sums.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyEight(int* x, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        const int Rows = 8;
        Vector512<int> a0 = Vector512<int>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0,
            f0 = a0, f1 = a0, g0 = a0, g1 = a0, h0 = a0, h1 = a0;
        for (int* end = strip + (pairs * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector512<short> w0 = Vector512.Load(strip).AsInt16(), w1 = Vector512.Load(strip + Part).AsInt16();
            Step(ref a0, ref a1, ref b0, ref b1, w0, w1, x);
            Step(ref c0, ref c1, ref d0, ref d1, w0, w1, x + 2);
            Step(ref e0, ref e1, ref f0, ref f1, w0, w1, x + 4);
            Step(ref g0, ref g1, ref h0, ref h1, w0, w1, x + 6);
        }

        Add(a0, a1, places[0], starts, scales, totals);
        Add(b0, b1, places[1], starts + Strip, scales, totals + Strip);
        Add(c0, c1, places[2], starts + (2 * Strip), scales, totals + (2 * Strip));
        Add(d0, d1, places[3], starts + (3 * Strip), scales, totals + (3 * Strip));
        Add(e0, e1, places[4], starts + (4 * Strip), scales, totals + (4 * Strip));
        Add(f0, f1, places[5], starts + (5 * Strip), scales, totals + (5 * Strip));
        Add(g0, g1, places[6], starts + (6 * Strip), scales, totals + (6 * Strip));
        Add(h0, h1, places[7], starts + (7 * Strip), scales, totals + (7 * Strip));
    }

    /// <summary>Eight sums.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyFour(int* x, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        const int Rows = 4;
        Vector512<int> a0 = Vector512<int>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        for (int* end = strip + (pairs * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector512<short> w0 = Vector512.Load(strip).AsInt16(), w1 = Vector512.Load(strip + Part).AsInt16();
            Step(ref a0, ref a1, ref b0, ref b1, w0, w1, x);
            Step(ref c0, ref c1, ref d0, ref d1, w0, w1, x + 2);
        }

        Add(a0, a1, places[0], starts, scales, totals);
        Add(b0, b1, places[1], starts + Strip, scales, totals + Strip);
        Add(c0, c1, places[2], starts + (2 * Strip), scales, totals + (2 * Strip));
        Add(d0, d1, places[3], starts + (3 * Strip), scales, totals + (3 * Strip));
    }

    /// <summary>
    /// Two rows of X: four products, then four additions. An AMD Zen 4 hands multiplications and additions to its ports as they come, and
    /// is a sixth slower where they alternate.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(
        ref Vector512<int> a0, ref Vector512<int> a1, ref Vector512<int> b0, ref Vector512<int> b1, Vector512<short> w0,
        Vector512<short> w1, int* x)
    {
        Vector512<short> first = Vector512.Create(x[0]).AsInt16(), second = Vector512.Create(x[1]).AsInt16();
        Vector512<int> p0 = Avx512BW.MultiplyAddAdjacent(w0, first), q0 = Avx512BW.MultiplyAddAdjacent(w0, second);
        Vector512<int> p1 = Avx512BW.MultiplyAddAdjacent(w1, first), q1 = Avx512BW.MultiplyAddAdjacent(w1, second);
        a0 += p0;
        b0 += q0;
        a1 += p1;
        b1 += q1;
    }

    /// <summary>Adds a row's sums to its totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector512<int> sum0, Vector512<int> sum1, int place, int* starts, float* scales, float* totals)
    {
        Add(sum0, place, starts, scales, totals);
        Add(sum1, place, starts + Part, scales + Part, totals + Part);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector512<int> sum, int place, int* starts, float* scales, float* totals) =>
        Total(sum, place, Vector512.Load(starts), scales, Vector512.Load(totals)).Store(totals);
}
