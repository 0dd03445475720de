using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using Zqfp.Numerics;

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

    /// <summary>Above a code's digits, where it is a NaN.</summary>
    private const uint NaNMark = 1u << 24;

    private static readonly Entry[] Entries = MakeEntries();

    /// <summary>Whether loops of this machine look at masks, as those of Arm do; elsewhere they name all groups.</summary>
    private static bool NeedsMasks => AdvSimd.IsSupported;

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

    /// <summary>Each code has its digits in a table.</summary>
    /// <returns>Whether a NaN is among the codes; its digits are zero.</returns>
    [MethodImpl(HotLoop.Options)]
    private static bool WriteChunk(byte* codes, int columns, sbyte* digits, ChunkHead* head)
    {
        sbyte* middles = digits + columns, lows = middles + columns;
        ulong highGroups = 0, middleGroups = 0, lowGroups = 0;
        Vector128<uint> any = Vector128<uint>.Zero;
        int sum = 0;
        fixed (Entry* entries = Entries)
        {
            for (int column = 0; column < columns; column += 4)
            {
                // The even four of eight, then the odd four.
                byte* four = codes + column - (column & 4) + ((column & 4) >> 2);
                Entry* e0 = entries + four[0], e1 = entries + four[2], e2 = entries + four[4], e3 = entries + four[6];
                sum += e0->Value + e1->Value + e2->Value + e3->Value;
                Vector128<uint> together = Vector128.Create(e0->Digits, e1->Digits, e2->Digits, e3->Digits);
                any |= together;
                Vector128<uint> places = Vector128.Shuffle(
                    together.AsByte(), Vector128.Create((byte)0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)).AsUInt32();
                uint high = places[0], middle = places[1], low = places[2];
                *(uint*)(digits + column) = high;
                *(uint*)(middles + column) = middle;
                *(uint*)(lows + column) = low;
                if (NeedsMasks)
                {
                    int group = column / 4;
                    highGroups |= (high == 0 ? 0UL : 1) << group;
                    middleGroups |= (middle == 0 ? 0UL : 1) << group;
                    lowGroups |= (low == 0 ? 0UL : 1) << group;
                }
            }
        }

        head->High = Most(highGroups, columns / 4);
        head->Middle = Most(middleGroups, columns / 4);
        head->Low = Most(lowGroups, columns / 4);
        head->Offset = -WeightOffset * sum;
        return (any & Vector128.Create(NaNMark)) != Vector128<uint>.Zero;
    }

    /// <summary>The digits of each code, NaN marked.</summary>
    private static Entry[] MakeEntries()
    {
        var entries = new Entry[256];
        for (int code = 0; code < entries.Length; code++)
        {
            if ((code & 0x7F) == 0x7F)
            {
                entries[code].Digits = NaNMark;
                continue;
            }

            int magnitude = (int)(E4M3.Values[code & 0x7F] * 512), half = 1 << (Bits - 1), digit = (1 << Bits) - 1;
            int low = ((magnitude + half) & digit) - half;
            int rest = (magnitude - low) >> Bits;
            int middle = ((rest + half) & digit) - half;
            int high = (rest - middle) >> Bits;
            int sign = code < 128 ? 1 : -1;
            entries[code] = new Entry
            {
                Digits = (byte)(sign * high) | ((uint)(byte)(sign * middle) << 8) | ((uint)(byte)(sign * low) << 16),
                Value = sign * magnitude,
            };
        }

        return entries;
    }

    private static ulong Most(ulong groups, int count) =>
        !NeedsMasks || ulong.PopCount(groups) * 8 >= (ulong)(count * AlmostAll) ? ulong.MaxValue >> (64 - count) : groups;

    /// <summary>A code.</summary>
    private struct Entry
    {
        /// <summary>Its digits, the high one in the lowest byte; <see cref="NaNMark"/> of a NaN.</summary>
        public uint Digits;

        /// <summary>Its value times 2^9.</summary>
        public int Value;
    }

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
