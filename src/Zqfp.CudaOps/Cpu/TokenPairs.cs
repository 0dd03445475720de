using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>
/// A token's E4M3 codes as 16-bit integers. In a chunk whose values all fit they are x · 2^9; in others x · 2^9 = 8 main + rest, where
/// the rest, of -4 to 3, is zero but for small values, and the pairs of columns that have one are listed. So the many small values beside
/// an outlier have none but in its own chunk. Of each eight columns, column k and column k + 4 are a pair.
/// </summary>
/// <remarks>
/// Beside the pairs a token has a <see cref="Head"/>, a <see cref="ChunkHead"/> for each chunk, and room for a <see cref="Rest"/> for each
/// pair.
/// </remarks>
internal static unsafe class TokenPairs
{
    /// <summary>Bits below an integer's place, where it has a rest.</summary>
    public const int Bits = 3;

    /// <summary>The last code whose value times 2^9 fits in 16 bits, 60.</summary>
    private const byte LastWhole = 103;

    /// <summary>Bytes from a token to the next.</summary>
    public static int RowBytes(GroupLayout layout) => (RestsOffset(layout, layout.PaddedColumns) + 63) & ~63;

    /// <summary>Where a chunk's head begins.</summary>
    public static int HeadOffset(int chunk) => sizeof(Head) + (chunk * sizeof(ChunkHead));

    /// <summary>Where the rests begin of the chunk that begins with a column.</summary>
    public static int RestsOffset(GroupLayout layout, int column) => HeadOffset(layout.Chunks.Length) + (column / 2 * sizeof(Rest));

    /// <summary>Divides a token.</summary>
    /// <param name="codes">Its codes, laid out as the weights' columns are.</param>
    /// <param name="layout">The columns.</param>
    /// <param name="scale">Its scale.</param>
    /// <param name="pairs">Receives the integers of each pair, the first in the low half.</param>
    /// <param name="token">Receives <see cref="RowBytes"/> bytes.</param>
    public static void Write(byte* codes, GroupLayout layout, float scale, int* pairs, byte* token)
    {
        bool hasNaN = false;
        for (int i = 0; i < layout.Chunks.Length; i++)
        {
            GroupLayout.Chunk chunk = layout.Chunks[i];
            var rests = (Rest*)(token + RestsOffset(layout, chunk.Start));
            var head = (ChunkHead*)(token + HeadOffset(i));
            head->Place = AreAtMost(LastWhole, codes + chunk.Start, chunk.Length) ? 0 : Bits;
            hasNaN |= WriteChunk(codes + chunk.Start, chunk.Length, pairs + (chunk.Start / 2), rests, head);
        }

        ((Head*)token)->Scale = hasNaN ? float.NaN : scale;
    }

    /// <summary>Whether no code of a chunk, its sign apart, is above <paramref name="last"/>.</summary>
    [MethodImpl(HotLoop.Options)]
    private static bool AreAtMost(byte last, byte* codes, int columns)
    {
        Vector128<byte> most = Vector128<byte>.Zero, magnitude = Vector128.Create((byte)0x7F);
        int column = 0;
        for (; column <= columns - 16; column += 16)
        {
            most = Vector128.Max(most, Vector128.Load(codes + column) & magnitude);
        }

        if (column < columns)
        {
            most = Vector128.Max(most, Vector128.CreateScalar(*(ulong*)(codes + column)).AsByte() & magnitude);
        }

        return Vector128.LessThanOrEqualAll(most, Vector128.Create(last));
    }

    /// <returns>Whether a NaN is among the codes; its integers are zero.</returns>
    [MethodImpl(HotLoop.Options)]
    private static bool WriteChunk(byte* codes, int columns, int* pairs, Rest* rests, ChunkHead* head)
    {
        Rest* next = rests;
        int column = 0;
        int place = head->Place;
        bool hasNaN = Avx512F.IsSupported && WriteWide(codes, columns, place, pairs, ref next, out column);
        Vector256<int> isNaN = Vector256<int>.Zero, half = Vector256.Create(Half(place));
        int* both = stackalloc int[4];
        for (; column < columns; column += 8)
        {
            Vector128<ushort> narrow = Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)(codes + column)).AsByte());
            (Vector128<uint> first, Vector128<uint> second) = Vector128.Widen(narrow);
            Vector256<int> code = Vector256.Create(first, second).AsInt32();
            Vector256<int> bad = Vector256.Equals(code & Vector256.Create(0x7F), Vector256.Create(0x7F));
            isNaN |= bad;
            Vector256<int> value = Vector256.ConvertToInt32(E4M3.Decode(Vector256.AndNot(code, bad)) * Vector256.Create(512f));
            Vector256<int> main = (value + half) >> place, rest = value - (main << place);
            Pairs(main).Store(pairs + (column / 2));
            if (rest != Vector256<int>.Zero)
            {
                Pairs(rest).Store(both);
                next = List(both, 4, column / 2, next);
            }
        }

        head->Rests = (int)(next - rests);
        return hasNaN || isNaN != Vector256<int>.Zero;
    }

    /// <summary>32 columns at a time.</summary>
    /// <returns>Whether a NaN is among them.</returns>
    [MethodImpl(HotLoop.Options)]
    private static bool WriteWide(byte* codes, int columns, int place, int* pairs, ref Rest* rests, out int done)
    {
        int* both = stackalloc int[16];
        Vector512<int> isNaN = Vector512<int>.Zero, half = Vector512.Create(Half(place));
        Rest* next = rests;
        int column = 0;
        for (; column <= columns - 32; column += 32)
        {
            Vector512<int> low = Value(codes + column, ref isNaN), high = Value(codes + column + 16, ref isNaN);
            Vector512<int> lowMain = (low + half) >> place, highMain = (high + half) >> place;
            Pairs(lowMain, highMain).Store(pairs + (column / 2));
            Vector512<int> lowRest = low - (lowMain << place), highRest = high - (highMain << place);
            if ((lowRest | highRest) != Vector512<int>.Zero)
            {
                Pairs(lowRest, highRest).Store(both);
                next = List(both, 16, column / 2, next);
            }
        }

        rests = next;
        done = column;
        return isNaN != Vector512<int>.Zero;
    }

    /// <summary>Lists the pairs that have a rest.</summary>
    /// <returns>Where the next one's place is.</returns>
    /// <summary>What is added for rounding to the nearest.</summary>
    private static int Half(int place) => (1 << place) >> 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Rest* List(int* both, int count, int firstPair, Rest* next)
    {
        for (int i = 0; i < count; i++)
        {
            // Written in any case: the next one is written over it where there is none.
            *next = new Rest { Pair = firstPair + i, Value = both[i] };
            next += both[i] == 0 ? 0 : 1;
        }

        return next;
    }

    /// <summary>Sixteen codes times 2^9: the mantissa at the place that the exponent says.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Value(byte* codes, ref Vector512<int> isNaN)
    {
        Vector512<int> code = Avx512F.ConvertToVector512Int32(Vector128.Load(codes)), magnitude = code & Vector512.Create(0x7F);
        Vector512<int> bad = Vector512.Equals(magnitude, Vector512.Create(0x7F));
        isNaN |= bad;
        magnitude = Vector512.AndNot(magnitude, bad);
        Vector512<int> exponent = magnitude >>> 3, normal = Vector512.Min(exponent, Vector512<int>.One);
        Vector512<int> value = Avx512F.ShiftLeftLogicalVariable(
            (magnitude & Vector512.Create(7)) | (normal << 3), (exponent - normal).AsUInt32());
        Vector512<int> sign = (code << 24) >> 31;
        return (value ^ sign) - sign;
    }

    /// <summary>The first four integers in the low halves, the last four in the high ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Pairs(Vector256<int> values) =>
        (values.GetLower() & Vector128.Create(0xFFFF)) | (values.GetUpper() << 16);

    /// <summary>The same of 32 columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Pairs(Vector512<int> low, Vector512<int> high)
    {
        Vector512<long> first = Avx512F.PermuteVar8x64x2(low.AsInt64(), Vector512.Create(0L, 1, 4, 5, 8, 9, 12, 13), high.AsInt64());
        Vector512<long> second = Avx512F.PermuteVar8x64x2(low.AsInt64(), Vector512.Create(2L, 3, 6, 7, 10, 11, 14, 15), high.AsInt64());
        return (first.AsInt32() & Vector512.Create(0xFFFF)) | (second.AsInt32() << 16);
    }

    /// <summary>What holds for a whole token.</summary>
    internal struct Head
    {
        /// <summary>Sx; NaN where a code is.</summary>
        public float Scale;
    }

    /// <summary>What holds for the columns of a chunk.</summary>
    internal struct ChunkHead
    {
        /// <summary>Pairs that have a rest.</summary>
        public int Rests;

        /// <summary>Bits below the place of the chunk's integers: <see cref="Bits"/>, or 0 where they are whole.</summary>
        public int Place;
    }

    /// <summary>What a pair has below the place of its integers.</summary>
    internal struct Rest
    {
        /// <summary>Which pair of the chunk.</summary>
        public int Pair;

        /// <summary>Two 16-bit integers.</summary>
        public int Value;
    }
}
