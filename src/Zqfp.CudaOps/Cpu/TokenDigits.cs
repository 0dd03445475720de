using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>
/// A token's E4M3 codes as integers that byte instructions multiply: x · 2^9 = 4096 high + 64 middle + low, each digit a signed byte of
/// magnitude at most 56, 32 and 32. Weights are held against them as 2 w + 12, a byte from 0 to 24: a pair of products is at most 2688,
/// so that twelve pairs fit in 16 bits. What the 12 adds is taken away by a number that all rows of W share.
/// </summary>
/// <remarks>
/// A laid-out token is a <see cref="Head"/>, a <see cref="ChunkHead"/> for each chunk, and for each chunk its high, middle and low digits.
/// Of eight columns those of even number come first, then those of odd number, as the halves of a word's bytes hold their weights.
/// </remarks>
internal static unsafe class TokenDigits
{
    /// <summary>What is added to twice a weight to make it a byte without sign.</summary>
    public const int WeightOffset = 12;

    /// <summary>What the sum of products of integers is multiplied by: it counts halves of weights and 2^-9 of codes.</summary>
    public const float Unit = 1f / 1024;

    /// <summary>Digits of a column.</summary>
    public const int Count = 3;

    /// <summary>Bits from a digit to the next.</summary>
    public const int Bits = 6;

    /// <summary>Pairs of products, of whatever digit, whose sum fits in 16 bits.</summary>
    public const int MostPairs = 12;

    /// <summary>
    /// From so many of eight groups of columns on, a digit is taken as nowhere zero, which spares the loop the surprise of its end.
    /// </summary>
    private const int AlmostAll = 7;

    /// <summary>Bytes from a laid-out token to the next.</summary>
    public static int RowBytes(GroupLayout layout) => (DigitsOffset(layout, layout.PaddedColumns) + 63) & ~63;

    /// <summary>Where a chunk's head begins in a laid-out token.</summary>
    public static int HeadOffset(int chunk) => sizeof(Head) + (chunk * sizeof(ChunkHead));

    /// <summary>Where the digits begin of the chunk that begins with a column.</summary>
    public static int DigitsOffset(GroupLayout layout, int column) => HeadOffset(layout.Chunks.Length) + (Count * column);

    /// <summary>Lays out a token.</summary>
    /// <param name="codes">Its codes, laid out as the weights' columns are.</param>
    /// <param name="layout">The columns.</param>
    /// <param name="scale">Its scale.</param>
    /// <param name="token">Receives <see cref="RowBytes"/> bytes.</param>
    public static void Write(byte* codes, GroupLayout layout, float scale, byte* token)
    {
        var heads = (ChunkHead*)(token + HeadOffset(0));
        bool hasNaN = false;
        foreach (ref readonly GroupLayout.Chunk chunk in layout.Chunks.AsSpan())
        {
            var digits = (sbyte*)(token + DigitsOffset(layout, chunk.Start));
            hasNaN |= WriteChunk(codes + chunk.Start, chunk.Length, digits, heads++);
        }

        ((Head*)token)->Scale = hasNaN ? float.NaN : scale;
    }

    /// <returns>Whether a NaN is among the codes; its digits are zero.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool WriteChunk(byte* codes, int columns, sbyte* digits, ChunkHead* head)
    {
        var sums = Vector256<int>.Zero;
        var isNaN = Vector256<int>.Zero;
        ulong highs = 0, middles = 0, lows = 0;
        sbyte* middleDigits = digits + columns, lowDigits = middleDigits + columns;
        for (int column = 0; column < columns; column += 8)
        {
            Vector256<int> code = InOrder(codes + column);
            Vector256<int> nan = Vector256.Equals(code & Vector256.Create(0x7F), Vector256.Create(0x7F));
            isNaN |= nan;
            Vector256<int> negative = Vector256.ShiftRightArithmetic(Vector256.ShiftLeft(code, 24), 31);
            Vector256<float> value = E4M3.Decode(Vector256.AndNot(code & Vector256.Create(0x7F), nan)) * 512f;
            Vector256<int> magnitude = Vector256.ConvertToInt32Native(value);

            Vector256<int> half = Vector256.Create(1 << (Bits - 1)), digit = Vector256.Create((1 << Bits) - 1);
            Vector256<int> low = ((magnitude + half) & digit) - half;
            Vector256<int> rest = Vector256.ShiftRightArithmetic(magnitude - low, Bits);
            Vector256<int> middle = ((rest + half) & digit) - half;
            Vector256<int> high = Vector256.ShiftRightArithmetic(rest - middle, Bits);
            sums += (magnitude ^ negative) - negative;
            int group = column / 4;
            highs |= Store((high ^ negative) - negative, digits + column) << group;
            middles |= Store((middle ^ negative) - negative, middleDigits + column) << group;
            lows |= Store((low ^ negative) - negative, lowDigits + column) << group;
        }

        head->High = Most(highs, columns / 4);
        head->Middle = Most(middles, columns / 4);
        head->Low = Most(lows, columns / 4);
        head->Offset = -WeightOffset * Vector256.Sum(sums);
        return isNaN != Vector256<int>.Zero;
    }

    /// <summary>Eight codes, the even ones first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> InOrder(byte* codes)
    {
        Vector128<byte> order = Vector128.Create((byte)0, 2, 4, 6, 1, 3, 5, 7, 0, 0, 0, 0, 0, 0, 0, 0);
        Vector128<ushort> wide = Vector128.WidenLower(Vector128.Shuffle(Vector128.CreateScalar(*(ulong*)codes).AsByte(), order));
        (Vector128<uint> even, Vector128<uint> odd) = Vector128.Widen(wide);
        return Vector256.Create(even, odd).AsInt32();
    }

    /// <summary>Writes eight digits.</summary>
    /// <returns>In the lowest bit whether one of the first four is not zero, in the next whether one of the others is not.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Store(Vector256<int> digits, sbyte* target)
    {
        Vector128<short> narrow = Vector128.Narrow(digits.GetLower(), digits.GetUpper());
        ulong bytes = Vector128.Narrow(narrow, narrow).AsUInt64()[0];
        *(ulong*)target = bytes;
        return ((uint)bytes == 0 ? 0u : 1u) | ((bytes >> 32) == 0 ? 0u : 2u);
    }

    private static ulong Most(ulong groups, int count) =>
        ulong.PopCount(groups) * 8 >= (ulong)(count * AlmostAll) ? ulong.MaxValue >> (64 - count) : groups;

    /// <summary>What holds for a whole token.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 32)]
    internal struct Head
    {
        /// <summary>Sx; NaN where a code is.</summary>
        public float Scale;
    }

    /// <summary>What holds for the columns of a chunk; of a mask, each bit is one of its groups of four digits, in their order.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 32)]
    internal struct ChunkHead
    {
        /// <summary>Groups whose high digits are not all zero; it may name others.</summary>
        public ulong High;

        /// <summary>The same for the middle digits.</summary>
        public ulong Middle;

        /// <summary>The same for the low digits.</summary>
        public ulong Low;

        /// <summary>What the weights' offset adds to a sum, negative: -12 times the sum of the chunk's codes.</summary>
        public int Offset;
    }
}
