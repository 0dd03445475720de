using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Inner loops for AVX2: a panel is eight registers wide.</summary>
internal sealed unsafe class Avx2CodeMath : CodeMath
{
    private const int Width = PackedWeights.PanelWidth;

    /// <summary>Rows of W worked on at once.</summary>
    private const int Part = 16;

    /// <summary>Words of a panel's row whose products fit in 16 bits: each is a pair of even columns and a pair of odd ones.</summary>
    private const int MostWords = TokenDigits.MostPairs / 2;

    /// <summary>Twice the value of each E2M1 code and the offset, for the lookup within 128 bits.</summary>
    public static Vector256<byte> Weights
    {
        // A call would leave it in memory, whence loops would load it at every step.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector256.Create(
            12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0, 12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, (byte)0);
    }

    /// <summary>The same without the offset, signed.</summary>
    public static Vector256<byte> SignedWeights
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Weights - Vector256.Create((byte)TokenDigits.WeightOffset);
    }

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRow(byte* token, PackedWeights weights, int panel, float* totals)
    {
        int* sums = stackalloc int[Width];
        new Span<float>(totals, Width).Clear();
        uint* words = weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        var head = (TokenDigits.ChunkHead*)(token + TokenDigits.HeadOffset(0));
        var digits = (sbyte*)(token + TokenDigits.DigitsOffset(weights.Layout, 0));
        Vector256<byte> table = Weights;
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            Fill(sums, head->Offset);
            nint columns = chunk.Length;
            sbyte* end = digits + columns;
            while (digits < end)
            {
                nint count = Math.Min((nint)(end - digits), 8 * MostWords);
                for (nint part = 0; part < Width; part += Part)
                {
                    Vector256<short> h0 = Vector256<short>.Zero, h1 = h0, m0 = h0, m1 = h0, l0 = h0, l1 = h0;
                    uint* word = words + part;
                    sbyte* stop = digits + count;
                    for (sbyte* eight = digits; eight < stop; eight += 8, word += Width)
                    {
                        WeightStream.CallLine(word);
                        Split(table, Vector256.Load(word), out Vector256<byte> even0, out Vector256<byte> odd0);
                        Split(table, Vector256.Load(word + 8), out Vector256<byte> even1, out Vector256<byte> odd1);
                        Vector256<sbyte> four = Four(eight);
                        h0 += Pairs(even0, four);
                        h1 += Pairs(even1, four);
                        four = Four(eight + 4);
                        h0 += Pairs(odd0, four);
                        h1 += Pairs(odd1, four);
                        four = Four(eight + columns);
                        m0 += Pairs(even0, four);
                        m1 += Pairs(even1, four);
                        four = Four(eight + columns + 4);
                        m0 += Pairs(odd0, four);
                        m1 += Pairs(odd1, four);
                        four = Four(eight + (2 * columns));
                        l0 += Pairs(even0, four);
                        l1 += Pairs(even1, four);
                        four = Four(eight + (2 * columns) + 4);
                        l0 += Pairs(odd0, four);
                        l1 += Pairs(odd1, four);
                    }

                    (Vector256.Load(sums + part) + Sum(h0, m0, l0)).Store(sums + part);
                    (Vector256.Load(sums + part + 8) + Sum(h1, m1, l1)).Store(sums + part + 8);
                }

                digits += count;
                words += count / 8 * Width;
            }

            AddToTotals(sums, firstScale + ((nint)chunk.Group * Width), totals);
            digits = end + (2 * columns);
            head++;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fill(int* sums, int value)
    {
        Vector256<int> all = Vector256.Create(value);
        for (int i = 0; i < Width; i += 8)
        {
            all.Store(sums + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddToTotals(int* sums, float* scales, float* totals)
    {
        for (int i = 0; i < Width; i += 8)
        {
            AddTotal(Vector256.Load(sums + i), scales + i, totals + i);
        }
    }

    /// <summary>Adds the sums of a chunk for eight rows of W to their totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddTotal(Vector256<int> sum, float* scales, float* totals)
    {
        Vector256<float> value = Vector256.ConvertToSingle(sum) * Vector256.Create(TokenDigits.Unit);
        Vector256.FusedMultiplyAdd(value, Vector256.Load(scales), Vector256.Load(totals)).Store(totals);
    }

    /// <summary>The weights of the even and of the odd columns of eight words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Split(Vector256<byte> table, Vector256<uint> words, out Vector256<byte> even, out Vector256<byte> odd)
    {
        Vector256<byte> nibble = Vector256.Create((byte)15);
        even = Avx2.Shuffle(table, words.AsByte() & nibble);
        odd = Avx2.Shuffle(table, (words >>> 4).AsByte() & nibble);
    }

    /// <summary>Four digits, once for each row of W.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Four(sbyte* digits) => Vector256.Create(*(int*)digits).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Pairs(Vector256<byte> weights, Vector256<sbyte> digits) => Avx2.MultiplyAddAdjacent(weights, digits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Sum(Vector256<short> high, Vector256<short> middle, Vector256<short> low) =>
        Avx2.MultiplyAddAdjacent(low, Vector256<short>.One)
        + Avx2.MultiplyAddAdjacent(middle, Vector256.Create((short)(1 << TokenDigits.Bits)))
        + Avx2.MultiplyAddAdjacent(high, Vector256.Create((short)(1 << (2 * TokenDigits.Bits))));
}
