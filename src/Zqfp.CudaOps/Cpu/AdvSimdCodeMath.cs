using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>
/// Inner loops for Arm with dot products, which add four products of signed bytes to 32 bits: a panel is sixteen registers wide. Weights of
/// at most 24 are signed bytes too.
/// </summary>
internal sealed unsafe class AdvSimdCodeMath : DigitMath
{
    private const int Width = PackedWeights.PanelWidth;

    /// <summary>Rows of W worked on at once.</summary>
    private const int Part = 16;

    /// <summary>Twice the value of each E2M1 code and the offset.</summary>
    private static Vector128<sbyte> Weights => Vector128.Create(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, (sbyte)0);

    [MethodImpl(HotLoop.Options)]
    public override void Decode(uint* words, int columns, byte* decoded)
    {
        Vector128<sbyte> table = Weights;
        for (int column = 0; column < columns; column += 8, words += Width, decoded += 8 * Width)
        {
            for (int i = 0; i < Width; i += 4)
            {
                Split(table, words + i, out Vector128<sbyte> even, out Vector128<sbyte> odd);
                even.Store((sbyte*)decoded + (4 * i));
                odd.Store((sbyte*)decoded + (4 * Width) + (4 * i));
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void Multiply(in TokenChunk chunk, byte* decoded, float* scales, float* totals)
    {
        for (int row = 0; row < chunk.Rows; row++, totals += Width)
        {
            TokenDigits.ChunkHead* head = chunk.HeadOf(row);
            sbyte* digits = chunk.DigitsOf(row);
            for (int part = 0; part < Width; part += Part)
            {
                Vector128<int> s0 = Vector128<int>.Zero, s1 = s0, s2 = s0, s3 = s0;
                sbyte* weights = (sbyte*)decoded + (4 * part);
                Add(head->High, digits, weights, ref s0, ref s1, ref s2, ref s3);
                (s0, s1, s2, s3) = (s0 << TokenDigits.Bits, s1 << TokenDigits.Bits, s2 << TokenDigits.Bits, s3 << TokenDigits.Bits);
                Add(head->Middle, digits + chunk.Columns, weights, ref s0, ref s1, ref s2, ref s3);
                (s0, s1, s2, s3) = (s0 << TokenDigits.Bits, s1 << TokenDigits.Bits, s2 << TokenDigits.Bits, s3 << TokenDigits.Bits);
                Add(head->Low, digits + (2 * chunk.Columns), weights, ref s0, ref s1, ref s2, ref s3);

                Vector128<int> offset = Vector128.Create(head->Offset);
                AddTotal(s0 + offset, scales + part, totals + part);
                AddTotal(s1 + offset, scales + part + 4, totals + part + 4);
                AddTotal(s2 + offset, scales + part + 8, totals + part + 8);
                AddTotal(s3 + offset, scales + part + 12, totals + part + 12);
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRow(byte* token, PackedWeights weights, int panel, float* totals)
    {
        new Span<float>(totals, Width).Clear();
        uint* words = weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        var head = (TokenDigits.ChunkHead*)(token + TokenDigits.HeadOffset(0));
        var digits = (sbyte*)(token + TokenDigits.DigitsOffset(weights.Layout, 0));
        Vector128<sbyte> table = Weights;
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            nint columns = chunk.Length;
            float* scales = firstScale + ((nint)chunk.Group * Width);
            Vector128<int> offset = Vector128.Create(head->Offset);
            for (int part = 0; part < Width; part += Part)
            {
                Vector128<int> h0 = Vector128<int>.Zero, h1 = h0, h2 = h0, h3 = h0, m0 = h0, m1 = h0, m2 = h0, m3 = h0, l0 = h0, l1 = h0,
                    l2 = h0, l3 = h0;
                uint* word = words + part;
                sbyte* end = digits + columns;
                for (sbyte* eight = digits; eight < end; eight += 8, word += Width)
                {
                    Vector128<sbyte> high = Eight(eight), middle = Eight(eight + columns), low = Eight(eight + (2 * columns));
                    Step(table, word, high, middle, low, ref h0, ref m0, ref l0);
                    Step(table, word + 4, high, middle, low, ref h1, ref m1, ref l1);
                    Step(table, word + 8, high, middle, low, ref h2, ref m2, ref l2);
                    Step(table, word + 12, high, middle, low, ref h3, ref m3, ref l3);
                }

                AddTotal(Sum(h0, m0, l0) + offset, scales + part, totals + part);
                AddTotal(Sum(h1, m1, l1) + offset, scales + part + 4, totals + part + 4);
                AddTotal(Sum(h2, m2, l2) + offset, scales + part + 8, totals + part + 8);
                AddTotal(Sum(h3, m3, l3) + offset, scales + part + 12, totals + part + 12);
            }

            words += columns / 8 * Width;
            digits += TokenDigits.Count * columns;
            head++;
        }
    }

    /// <summary>Adds the products with some groups of four digits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(
        ulong groups, sbyte* digits, sbyte* weights, ref Vector128<int> s0, ref Vector128<int> s1, ref Vector128<int> s2,
        ref Vector128<int> s3)
    {
        while (groups != 0)
        {
            nint group = BitOperations.TrailingZeroCount(groups);
            groups &= groups - 1;
            Vector128<sbyte> four = Vector128.Create(*(int*)(digits + (4 * group))).AsSByte();
            sbyte* bytes = weights + (4 * Width * group);
            s0 = Dp.DotProduct(s0, Vector128.Load(bytes), four);
            s1 = Dp.DotProduct(s1, Vector128.Load(bytes + 16), four);
            s2 = Dp.DotProduct(s2, Vector128.Load(bytes + 32), four);
            s3 = Dp.DotProduct(s3, Vector128.Load(bytes + 48), four);
        }
    }

    /// <summary>Eight columns of four rows of W: the even four digits stand first among <see cref="Eight"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(
        Vector128<sbyte> table, uint* words, Vector128<sbyte> highs, Vector128<sbyte> middles, Vector128<sbyte> lows,
        ref Vector128<int> high, ref Vector128<int> middle, ref Vector128<int> low)
    {
        Split(table, words, out Vector128<sbyte> even, out Vector128<sbyte> odd);
        high = Dp.DotProductBySelectedQuadruplet(high, even, highs, 0);
        middle = Dp.DotProductBySelectedQuadruplet(middle, even, middles, 0);
        low = Dp.DotProductBySelectedQuadruplet(low, even, lows, 0);
        high = Dp.DotProductBySelectedQuadruplet(high, odd, highs, 1);
        middle = Dp.DotProductBySelectedQuadruplet(middle, odd, middles, 1);
        low = Dp.DotProductBySelectedQuadruplet(low, odd, lows, 1);
    }

    /// <summary>The weights of the even and of the odd columns of four words.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Split(Vector128<sbyte> table, uint* words, out Vector128<sbyte> even, out Vector128<sbyte> odd)
    {
        Vector128<sbyte> codes = Vector128.Load((sbyte*)words);
        even = AdvSimd.Arm64.VectorTableLookup(table, codes & Vector128.Create((sbyte)15));
        odd = AdvSimd.Arm64.VectorTableLookup(table, codes >>> 4);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<sbyte> Eight(sbyte* digits) => Vector128.CreateScalar(*(long*)digits).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Sum(Vector128<int> high, Vector128<int> middle, Vector128<int> low) =>
        (((high << TokenDigits.Bits) + middle) << TokenDigits.Bits) + low;

    /// <summary>Adds the sums of a chunk for four rows of W to their totals.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTotal(Vector128<int> sum, float* scales, float* totals)
    {
        Vector128<float> value = Vector128.ConvertToSingle(sum) * Vector128.Create(TokenDigits.Unit);
        Vector128.FusedMultiplyAdd(value, Vector128.Load(scales), Vector128.Load(totals)).Store(totals);
    }
}
