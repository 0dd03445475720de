using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>How products of pairs are added to sums.</summary>
internal interface IPairSum
{
    /// <summary>Adds the sum of two products to each of twice eight sums.</summary>
    static abstract void Add(
        ref Vector256<int> sum0, ref Vector256<int> sum1, Vector256<short> w0, Vector256<short> w1, Vector256<short> value);
}

/// <summary>With AVX2: two products, then two additions, for the reason that <see cref="Avx512PairMath"/> gives.</summary>
internal readonly struct Avx2PairSum : IPairSum
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(
        ref Vector256<int> sum0, ref Vector256<int> sum1, Vector256<short> w0, Vector256<short> w1, Vector256<short> value)
    {
        Vector256<int> p0 = Avx2.MultiplyAddAdjacent(w0, value), p1 = Avx2.MultiplyAddAdjacent(w1, value);
        sum0 += p0;
        sum1 += p1;
    }
}

/// <summary>With AVX-VNNI, in one instruction.</summary>
internal readonly struct AvxVnniPairSum : IPairSum
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(
        ref Vector256<int> sum0, ref Vector256<int> sum1, Vector256<short> w0, Vector256<short> w1, Vector256<short> value)
    {
        sum0 = AvxVnni.MultiplyWideningAndAdd(sum0, w0, value);
        sum1 = AvxVnni.MultiplyWideningAndAdd(sum1, w1, value);
    }
}

/// <summary>Inner loops for AVX2: a panel is worked on in four strips, each two registers wide.</summary>
/// <typeparam name="TSum">How products are added.</typeparam>
internal sealed unsafe class Avx2PairMath<TSum> : PairMath
    where TSum : struct, IPairSum
{
    private const int Width = PackedWeights.PanelWidth, Strip = 16;

    public override int StripWidth => Strip;

    public override int RowUnit => 2;

    [MethodImpl(HotLoop.Options)]
    public override void Decode(uint* words, int columns, int* strip)
    {
        Vector256<byte> table = Avx2CodeMath.SignedWeights;
        for (int* end = strip + (columns / 2 * Strip); strip < end; strip += 4 * Strip, words += Width)
        {
            WeightStream.CallLine(words);
            for (nint i = 0; i < Strip; i += 8)
            {
                Avx2CodeMath.Split(table, Vector256.Load(words + i), out Vector256<byte> even, out Vector256<byte> odd);
                ((even.AsInt16() << 8) >> 8).AsInt32().Store(strip + i);
                ((odd.AsInt16() << 8) >> 8).AsInt32().Store(strip + Strip + i);
                (even.AsInt16() >> 8).AsInt32().Store(strip + (2 * Strip) + i);
                (odd.AsInt16() >> 8).AsInt32().Store(strip + (3 * Strip) + i);
            }
        }
    }

    public override void Multiply(
        float* x, in RowTiles tiles, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        int row = 0;
        for (; row < tiles.LargeRows; row += 6)
        {
            MultiplySix((int*)x + ((nint)row * pairs), strip, pairs, places + row, starts + (row * Strip), scales, totals + (row * Strip));
        }

        for (; row < tiles.Rows; row += tiles.SmallTile)
        {
            int* tile = (int*)x + ((nint)row * pairs);
            if (tiles.SmallTile == 4)
            {
                MultiplyFour(tile, strip, pairs, places + row, starts + (row * Strip), scales, totals + (row * Strip));
            }
            else
            {
                MultiplyTwo(tile, strip, pairs, places + row, starts + (row * Strip), scales, totals + (row * Strip));
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void Start(TokenPairs.Rest* rests, int count, int* strip, int* starts)
    {
        Vector256<int> sum0 = Vector256<int>.Zero, sum1 = sum0;
        for (TokenPairs.Rest* end = rests + count; rests < end; rests++)
        {
            Vector256<short> value = Vector256.Create(rests->Value).AsInt16();
            int* weights = strip + (rests->Pair * Strip);
            sum0 += Avx2.MultiplyAddAdjacent(Vector256.Load(weights).AsInt16(), value);
            sum1 += Avx2.MultiplyAddAdjacent(Vector256.Load(weights + 8).AsInt16(), value);
        }

        sum0.Store(starts);
        sum1.Store(starts + 8);
    }

    /// <summary>Twelve sums, two weights, one value of X and a product in the 16 registers.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplySix(int* x, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        const int Rows = 6;
        Vector256<int> a0 = Vector256<int>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0, e0 = a0, e1 = a0,
            f0 = a0, f1 = a0;
        for (int* end = strip + (pairs * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector256<short> w0 = Vector256.Load(strip).AsInt16(), w1 = Vector256.Load(strip + 8).AsInt16();
            TSum.Add(ref a0, ref a1, w0, w1, Vector256.Create(x[0]).AsInt16());
            TSum.Add(ref b0, ref b1, w0, w1, Vector256.Create(x[1]).AsInt16());
            TSum.Add(ref c0, ref c1, w0, w1, Vector256.Create(x[2]).AsInt16());
            TSum.Add(ref d0, ref d1, w0, w1, Vector256.Create(x[3]).AsInt16());
            TSum.Add(ref e0, ref e1, w0, w1, Vector256.Create(x[4]).AsInt16());
            TSum.Add(ref f0, ref f1, w0, w1, Vector256.Create(x[5]).AsInt16());
        }

        Add(a0, a1, places[0], starts, scales, totals);
        Add(b0, b1, places[1], starts + Strip, scales, totals + Strip);
        Add(c0, c1, places[2], starts + (2 * Strip), scales, totals + (2 * Strip));
        Add(d0, d1, places[3], starts + (3 * Strip), scales, totals + (3 * Strip));
        Add(e0, e1, places[4], starts + (4 * Strip), scales, totals + (4 * Strip));
        Add(f0, f1, places[5], starts + (5 * Strip), scales, totals + (5 * Strip));
    }

    /// <summary>Eight sums.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyFour(int* x, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        const int Rows = 4;
        Vector256<int> a0 = Vector256<int>.Zero, a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        for (int* end = strip + (pairs * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector256<short> w0 = Vector256.Load(strip).AsInt16(), w1 = Vector256.Load(strip + 8).AsInt16();
            TSum.Add(ref a0, ref a1, w0, w1, Vector256.Create(x[0]).AsInt16());
            TSum.Add(ref b0, ref b1, w0, w1, Vector256.Create(x[1]).AsInt16());
            TSum.Add(ref c0, ref c1, w0, w1, Vector256.Create(x[2]).AsInt16());
            TSum.Add(ref d0, ref d1, w0, w1, Vector256.Create(x[3]).AsInt16());
        }

        Add(a0, a1, places[0], starts, scales, totals);
        Add(b0, b1, places[1], starts + Strip, scales, totals + Strip);
        Add(c0, c1, places[2], starts + (2 * Strip), scales, totals + (2 * Strip));
        Add(d0, d1, places[3], starts + (3 * Strip), scales, totals + (3 * Strip));
    }

    /// <summary>Four sums.</summary>
    [MethodImpl(HotLoop.Options)]
    private static void MultiplyTwo(int* x, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        const int Rows = 2;
        Vector256<int> a0 = Vector256<int>.Zero, a1 = a0, b0 = a0, b1 = a0;
        for (int* end = strip + (pairs * Strip); strip < end; strip += Strip, x += Rows)
        {
            Vector256<short> w0 = Vector256.Load(strip).AsInt16(), w1 = Vector256.Load(strip + 8).AsInt16();
            TSum.Add(ref a0, ref a1, w0, w1, Vector256.Create(x[0]).AsInt16());
            TSum.Add(ref b0, ref b1, w0, w1, Vector256.Create(x[1]).AsInt16());
        }

        Add(a0, a1, places[0], starts, scales, totals);
        Add(b0, b1, places[1], starts + Strip, scales, totals + Strip);
    }

    /// <summary>Adds a row's sums to its totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector256<int> sum0, Vector256<int> sum1, int place, int* starts, float* scales, float* totals)
    {
        Add(sum0, place, starts, scales, totals);
        Add(sum1, place, starts + 8, scales + 8, totals + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector256<int> sum, int place, int* starts, float* scales, float* totals)
    {
        Vector256<int> whole = (sum << place) + Vector256.Load(starts);
        Vector256<float> value = Vector256.ConvertToSingle(whole) * Vector256.Create(TokenDigits.Unit);
        Vector256.FusedMultiplyAdd(value, Vector256.Load(scales), Vector256.Load(totals)).Store(totals);
    }
}
