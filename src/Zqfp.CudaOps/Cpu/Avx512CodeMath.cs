using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;
using static Zqfp.CudaOps.Avx512PairMath;

namespace Zqfp.CudaOps;

/// <summary>
/// Inner loops for AVX-512, where a lookup gives pairs of 16-bit weights at once: tokens are laid out as <see cref="TokenPairs"/>, their
/// pairs behind what belongs to them. A panel is four registers wide.
/// </summary>
internal sealed unsafe class Avx512CodeMath : CodeMath
{
    private const int Width = PackedWeights.PanelWidth, Part = PackedWeights.PartWidth;

    public override int FewRows => 6;

    public override int RowBytes(GroupLayout layout) =>
        TokenPairs.RowBytes(layout) + (((layout.PaddedColumns * sizeof(short)) + 63) & ~63);

    public override void Write(byte* codes, GroupLayout layout, float scale, byte* token) =>
        TokenPairs.Write(codes, layout, scale, (int*)(token + TokenPairs.RowBytes(layout)), token);

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRow(byte* token, PackedWeights weights, int panel, float* totals)
    {
        // No call inside the loops: a call takes all vector registers, and what lives across it is stored at every step.
        GroupLayout layout = weights.Layout;
        var words = (int*)weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        var head = (TokenPairs.ChunkHead*)(token + TokenPairs.HeadOffset(0));
        int* x = (int*)(token + TokenPairs.RowBytes(layout));
        Vector512<short> table = Table;
        Vector512<float> t0 = Vector512<float>.Zero, t1 = t0, t2 = t0, t3 = t0;
        foreach (ref readonly GroupLayout.Chunk chunk in layout.Chunks.AsSpan())
        {
            Vector512<int> r0 = Vector512<int>.Zero, r1 = r0, r2 = r0, r3 = r0;
            AddRests(ref r0, ref r1, ref r2, ref r3, table, words, token + TokenPairs.RestsOffset(layout, chunk.Start), head->Rests);
            Vector512<int> s0 = Vector512<int>.Zero, s1 = s0, s2 = s0, s3 = s0;
            for (int* end = x + (chunk.Length / 2); x < end; x += 4, words += Width)
            {
                WeightStream.CallRow((uint*)words);
                Vector512<short> x0 = Pair(x), x1 = Pair(x + 1), x2 = Pair(x + 2), x3 = Pair(x + 3);
                Split(table, words, out Vector512<short> w0, out Vector512<short> w1, out Vector512<short> w2, out Vector512<short> w3);
                s0 += Sum(w0, w1, w2, w3, x0, x1, x2, x3);
                Split(table, words + Part, out w0, out w1, out w2, out w3);
                s1 += Sum(w0, w1, w2, w3, x0, x1, x2, x3);
                Split(table, words + (2 * Part), out w0, out w1, out w2, out w3);
                s2 += Sum(w0, w1, w2, w3, x0, x1, x2, x3);
                Split(table, words + (3 * Part), out w0, out w1, out w2, out w3);
                s3 += Sum(w0, w1, w2, w3, x0, x1, x2, x3);
            }

            float* scales = firstScale + ((nint)chunk.Group * Width);
            t0 = Total(s0, head->Place, r0, scales, t0);
            t1 = Total(s1, head->Place, r1, scales + Part, t1);
            t2 = Total(s2, head->Place, r2, scales + (2 * Part), t2);
            t3 = Total(s3, head->Place, r3, scales + (3 * Part), t3);
            head++;
        }

        t0.Store(totals);
        t1.Store(totals + Part);
        t2.Store(totals + (2 * Part));
        t3.Store(totals + (3 * Part));
    }

    /// <summary>Both tokens meet the weights that are decoded in registers.</summary>
    [MethodImpl(HotLoop.Options)]
    public override void MultiplyTwo(byte* first, byte* second, PackedWeights weights, int panel, float* totals)
    {
        GroupLayout layout = weights.Layout;
        var words = (int*)weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        var head = (TokenPairs.ChunkHead*)(first + TokenPairs.HeadOffset(0));
        var otherHead = (TokenPairs.ChunkHead*)(second + TokenPairs.HeadOffset(0));
        int* x = (int*)(first + TokenPairs.RowBytes(layout)), y = (int*)(second + TokenPairs.RowBytes(layout));
        Vector512<short> table = Table;
        new Span<float>(totals, 2 * Width).Clear();
        foreach (ref readonly GroupLayout.Chunk chunk in layout.Chunks.AsSpan())
        {
            int rests = TokenPairs.RestsOffset(layout, chunk.Start);
            Vector512<int> r0 = Vector512<int>.Zero, r1 = r0, r2 = r0, r3 = r0, q0 = r0, q1 = r0, q2 = r0, q3 = r0;
            AddRests(ref r0, ref r1, ref r2, ref r3, table, words, first + rests, head->Rests);
            AddRests(ref q0, ref q1, ref q2, ref q3, table, words, second + rests, otherHead->Rests);
            Vector512<int> s0 = Vector512<int>.Zero, s1 = s0, s2 = s0, s3 = s0, u0 = s0, u1 = s0, u2 = s0, u3 = s0;
            for (int* end = x + (chunk.Length / 2); x < end; x += 4, y += 4, words += Width)
            {
                WeightStream.CallRow((uint*)words);
                Vector512<short> x0 = Pair(x), x1 = Pair(x + 1), x2 = Pair(x + 2), x3 = Pair(x + 3);
                Vector512<short> y0 = Pair(y), y1 = Pair(y + 1), y2 = Pair(y + 2), y3 = Pair(y + 3);
                Split(table, words, out Vector512<short> w0, out Vector512<short> w1, out Vector512<short> w2, out Vector512<short> w3);
                s0 += Sum(w0, w1, w2, w3, x0, x1, x2, x3);
                u0 += Sum(w0, w1, w2, w3, y0, y1, y2, y3);
                Split(table, words + Part, out w0, out w1, out w2, out w3);
                s1 += Sum(w0, w1, w2, w3, x0, x1, x2, x3);
                u1 += Sum(w0, w1, w2, w3, y0, y1, y2, y3);
                Split(table, words + (2 * Part), out w0, out w1, out w2, out w3);
                s2 += Sum(w0, w1, w2, w3, x0, x1, x2, x3);
                u2 += Sum(w0, w1, w2, w3, y0, y1, y2, y3);
                Split(table, words + (3 * Part), out w0, out w1, out w2, out w3);
                s3 += Sum(w0, w1, w2, w3, x0, x1, x2, x3);
                u3 += Sum(w0, w1, w2, w3, y0, y1, y2, y3);
            }

            float* scales = firstScale + ((nint)chunk.Group * Width);
            AddTotals(s0, s1, s2, s3, head->Place, r0, r1, r2, r3, scales, totals);
            AddTotals(u0, u1, u2, u3, otherHead->Place, q0, q1, q2, q3, scales, totals + Width);
            head++;
            otherHead++;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Pair(int* x) => Vector512.Create(*x).AsInt16();

    /// <summary>What a token's rests in a chunk add to the sums of its pairs: each is multiplied with its one pair of weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRests(
        ref Vector512<int> sum0, ref Vector512<int> sum1, ref Vector512<int> sum2, ref Vector512<int> sum3, Vector512<short> table,
        int* words, byte* rests, int count)
    {
        var rest = (TokenPairs.Rest*)rests;
        for (TokenPairs.Rest* end = rest + count; rest < end; rest++)
        {
            int* place = words + (rest->Pair / 4 * Width);
            Vector128<short> shift = Vector128.CreateScalar((long)(rest->Pair % 4 * 4)).AsInt16();
            Vector512<short> value = Vector512.Create(rest->Value).AsInt16();
            sum0 += Product(table, place, shift, value);
            sum1 += Product(table, place + Part, shift, value);
            sum2 += Product(table, place + (2 * Part), shift, value);
            sum3 += Product(table, place + (3 * Part), shift, value);
        }
    }

    /// <summary>The products of a pair with its weights, which stand at <paramref name="shift"/> in their words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Product(Vector512<short> table, int* words, Vector128<short> shift, Vector512<short> value)
    {
        Vector512<short> word = Avx512BW.ShiftRightLogical(Vector512.Load(words).AsInt16(), shift);
        return Avx512BW.MultiplyAddAdjacent(Avx512BW.PermuteVar32x16(table, word), value);
    }

    /// <summary>Eight columns of sixteen rows: products, then additions, for the reason that <see cref="Avx512PairMath"/> gives.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Sum(
        Vector512<short> w0, Vector512<short> w1, Vector512<short> w2, Vector512<short> w3,
        Vector512<short> x0, Vector512<short> x1, Vector512<short> x2, Vector512<short> x3)
    {
        Vector512<int> p0 = Avx512BW.MultiplyAddAdjacent(w0, x0), p1 = Avx512BW.MultiplyAddAdjacent(w1, x1);
        Vector512<int> p2 = Avx512BW.MultiplyAddAdjacent(w2, x2), p3 = Avx512BW.MultiplyAddAdjacent(w3, x3);
        return p0 + p1 + (p2 + p3);
    }

    /// <summary>Adds the sums of a chunk to a token's totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTotals(
        Vector512<int> s0, Vector512<int> s1, Vector512<int> s2, Vector512<int> s3, int place,
        Vector512<int> r0, Vector512<int> r1, Vector512<int> r2, Vector512<int> r3, float* scales, float* totals)
    {
        Total(s0, place, r0, scales, Vector512.Load(totals)).Store(totals);
        Total(s1, place, r1, scales + Part, Vector512.Load(totals + Part)).Store(totals + Part);
        Total(s2, place, r2, scales + (2 * Part), Vector512.Load(totals + (2 * Part))).Store(totals + (2 * Part));
        Total(s3, place, r3, scales + (3 * Part), Vector512.Load(totals + (3 * Part))).Store(totals + (3 * Part));
    }
}
