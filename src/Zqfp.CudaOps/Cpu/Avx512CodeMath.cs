using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Inner loops for AVX-512 with byte instructions: a panel is four registers wide.</summary>
internal sealed unsafe class Avx512CodeMath : CodeMath
{
    private const int Width = PackedWeights.PanelWidth;

    /// <summary>Words of a panel's row whose products fit in 16 bits: each is a pair of even columns and a pair of odd ones.</summary>
    private const int MostWords = TokenDigits.MostPairs / 2;

    public static Vector512<byte> Weights
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.Create(Avx2CodeMath.Weights, Avx2CodeMath.Weights);
    }

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRow(byte* token, PackedWeights weights, int panel, float* totals)
    {
        // No call inside the loops: a call takes all vector registers, and what lives across it is stored at every step.
        uint* words = weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        var head = (TokenDigits.ChunkHead*)(token + TokenDigits.HeadOffset(0));
        var digits = (sbyte*)(token + TokenDigits.DigitsOffset(weights.Layout, 0));
        Vector512<byte> table = Weights;
        Vector512<short> ones = Vector512<short>.One;
        Vector512<float> unit = Vector512.Create(TokenDigits.Unit);
        Vector512<float> t0 = Vector512<float>.Zero, t1 = t0, t2 = t0, t3 = t0;
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            Vector512<int> s0 = Vector512.Create(head->Offset), s1 = s0, s2 = s0, s3 = s0;
            nint columns = chunk.Length;
            sbyte* end = digits + columns;
            while (digits < end)
            {
                sbyte* stop = digits + Math.Min(end - digits, 8 * MostWords);
                Vector512<short> h0 = Vector512<short>.Zero, h1 = h0, h2 = h0, h3 = h0, m0 = h0, m1 = h0, m2 = h0, m3 = h0, l0 = h0,
                    l1 = h0, l2 = h0, l3 = h0;
                for (; digits < stop; digits += 8, words += Width)
                {
                    WeightStream.CallRow(words);
                    Vector512<sbyte> evenHigh = Four(digits), oddHigh = Four(digits + 4), evenMiddle = Four(digits + columns),
                        oddMiddle = Four(digits + columns + 4), evenLow = Four(digits + (2 * columns)),
                        oddLow = Four(digits + (2 * columns) + 4);
                    Split(table, Vector512.Load(words), out Vector512<byte> even, out Vector512<byte> odd);
                    h0 += Pairs(even, evenHigh) + Pairs(odd, oddHigh);
                    m0 += Pairs(even, evenMiddle) + Pairs(odd, oddMiddle);
                    l0 += Pairs(even, evenLow) + Pairs(odd, oddLow);
                    Split(table, Vector512.Load(words + 16), out even, out odd);
                    h1 += Pairs(even, evenHigh) + Pairs(odd, oddHigh);
                    m1 += Pairs(even, evenMiddle) + Pairs(odd, oddMiddle);
                    l1 += Pairs(even, evenLow) + Pairs(odd, oddLow);
                    Split(table, Vector512.Load(words + 32), out even, out odd);
                    h2 += Pairs(even, evenHigh) + Pairs(odd, oddHigh);
                    m2 += Pairs(even, evenMiddle) + Pairs(odd, oddMiddle);
                    l2 += Pairs(even, evenLow) + Pairs(odd, oddLow);
                    Split(table, Vector512.Load(words + 48), out even, out odd);
                    h3 += Pairs(even, evenHigh) + Pairs(odd, oddHigh);
                    m3 += Pairs(even, evenMiddle) + Pairs(odd, oddMiddle);
                    l3 += Pairs(even, evenLow) + Pairs(odd, oddLow);
                }

                s0 += Sum(ones, h0, m0, l0);
                s1 += Sum(ones, h1, m1, l1);
                s2 += Sum(ones, h2, m2, l2);
                s3 += Sum(ones, h3, m3, l3);
            }

            float* scales = firstScale + ((nint)chunk.Group * Width);
            t0 = Total(s0, unit, scales, t0);
            t1 = Total(s1, unit, scales + 16, t1);
            t2 = Total(s2, unit, scales + 32, t2);
            t3 = Total(s3, unit, scales + 48, t3);
            digits = end + (2 * columns);
            head++;
        }

        t0.Store(totals);
        t1.Store(totals + 16);
        t2.Store(totals + 32);
        t3.Store(totals + 48);
    }

    /// <summary>Half a panel at a time, whose decoded weights both tokens meet in registers.</summary>
    [MethodImpl(HotLoop.Options)]
    public override void MultiplyTwo(byte* first, byte* second, PackedWeights weights, int panel, float* totals)
    {
        const int Part = Width / 2;
        Vector512<byte> table = Weights;
        Vector512<short> ones = Vector512<short>.One;
        Vector512<float> unit = Vector512.Create(TokenDigits.Unit);
        nint other = (nint)(second - first);
        for (nint part = 0; part < Width; part += Part)
        {
            uint* words = weights.Codes(panel, 0) + part;
            float* firstScale = weights.Scales(panel, 0) + part;
            var head = (TokenDigits.ChunkHead*)(first + TokenDigits.HeadOffset(0));
            var digits = (sbyte*)(first + TokenDigits.DigitsOffset(weights.Layout, 0));
            Vector512<float> t0 = Vector512<float>.Zero, t1 = t0, u0 = t0, u1 = t0;
            foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
            {
                Vector512<int> s0 = Vector512.Create(head->Offset), s1 = s0;
                Vector512<int> v0 = Vector512.Create(((TokenDigits.ChunkHead*)((byte*)head + other))->Offset), v1 = v0;
                nint columns = chunk.Length;
                sbyte* end = digits + columns;
                while (digits < end)
                {
                    sbyte* stop = digits + Math.Min(end - digits, 8 * MostWords);
                    Vector512<short> h0 = Vector512<short>.Zero, h1 = h0, m0 = h0, m1 = h0, l0 = h0, l1 = h0;
                    Vector512<short> i0 = h0, i1 = h0, n0 = h0, n1 = h0, k0 = h0, k1 = h0;
                    for (; digits < stop; digits += 8, words += Width)
                    {
                        WeightStream.CallLine(words);
                        WeightStream.CallLine(words + 16);
                        Split(table, Vector512.Load(words), out Vector512<byte> even0, out Vector512<byte> odd0);
                        Split(table, Vector512.Load(words + 16), out Vector512<byte> even1, out Vector512<byte> odd1);
                        sbyte* low = digits + (2 * columns), next = digits + other;
                        Step(ref h0, ref h1, even0, odd0, even1, odd1, digits);
                        Step(ref m0, ref m1, even0, odd0, even1, odd1, digits + columns);
                        Step(ref l0, ref l1, even0, odd0, even1, odd1, low);
                        Step(ref i0, ref i1, even0, odd0, even1, odd1, next);
                        Step(ref n0, ref n1, even0, odd0, even1, odd1, next + columns);
                        Step(ref k0, ref k1, even0, odd0, even1, odd1, low + other);
                    }

                    s0 += Sum(ones, h0, m0, l0);
                    s1 += Sum(ones, h1, m1, l1);
                    v0 += Sum(ones, i0, n0, k0);
                    v1 += Sum(ones, i1, n1, k1);
                }

                float* scales = firstScale + ((nint)chunk.Group * Width);
                t0 = Total(s0, unit, scales, t0);
                t1 = Total(s1, unit, scales + 16, t1);
                u0 = Total(v0, unit, scales, u0);
                u1 = Total(v1, unit, scales + 16, u1);
                digits = end + (2 * columns);
                head++;
            }

            t0.Store(totals + part);
            t1.Store(totals + part + 16);
            u0.Store(totals + Width + part);
            u1.Store(totals + Width + part + 16);
        }
    }

    /// <summary>
    /// Adds eight columns of one digit: products, then additions, for the reason that <see cref="Avx512PairMath"/> gives.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(
        ref Vector512<short> sum0, ref Vector512<short> sum1, Vector512<byte> even0, Vector512<byte> odd0, Vector512<byte> even1,
        Vector512<byte> odd1, sbyte* digits)
    {
        Vector512<sbyte> even = Four(digits), odd = Four(digits + 4);
        Vector512<short> p0 = Pairs(even0, even), p1 = Pairs(even1, even), q0 = Pairs(odd0, odd), q1 = Pairs(odd1, odd);
        p0 += q0;
        p1 += q1;
        sum0 += p0;
        sum1 += p1;
    }

    /// <summary>The weights of the even and of the odd columns of sixteen words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Split(Vector512<byte> table, Vector512<uint> words, out Vector512<byte> even, out Vector512<byte> odd)
    {
        Vector512<byte> nibble = Vector512.Create((byte)15);
        even = Avx512BW.Shuffle(table, words.AsByte() & nibble);
        odd = Avx512BW.Shuffle(table, (words >>> 4).AsByte() & nibble);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<sbyte> Four(sbyte* digits) => Vector512.Create(*(int*)digits).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Pairs(Vector512<byte> weights, Vector512<sbyte> digits) =>
        Avx512BW.MultiplyAddAdjacent(weights, digits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Sum(Vector512<short> ones, Vector512<short> high, Vector512<short> middle, Vector512<short> low) =>
        Avx512BW.MultiplyAddAdjacent(low, ones) + Avx512BW.MultiplyAddAdjacent(middle, Vector512.Create((short)(1 << TokenDigits.Bits)))
        + Avx512BW.MultiplyAddAdjacent(high, Vector512.Create((short)(1 << (2 * TokenDigits.Bits))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Total(Vector512<int> sum, Vector512<float> unit, float* scales, Vector512<float> total) =>
        Vector512.FusedMultiplyAdd(Vector512.ConvertToSingle(sum) * unit, Vector512.Load(scales), total);
}
