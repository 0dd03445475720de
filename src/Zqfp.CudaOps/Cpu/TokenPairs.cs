using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>
/// A token's E4M3 codes as 16-bit integers: x · 2^9 = 8 main + rest, where the rest, of -4 to 3, is zero but for small values, and the
/// few pairs of columns that have one are listed. Of each eight columns, column k and column k + 4 are a pair.
/// </summary>
/// <remarks>
/// Beside the pairs a token has a <see cref="Head"/>, a <see cref="ChunkHead"/> for each chunk, and room for a <see cref="Rest"/> for each
/// pair.
/// </remarks>
internal static unsafe class TokenPairs
{
    /// <summary>Bits below an integer's place.</summary>
    public const int Bits = 3;

    private const int Half = 1 << (Bits - 1);

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
            hasNaN |= WriteChunk(codes + chunk.Start, chunk.Length, pairs + (chunk.Start / 2), rests, head);
        }

        ((Head*)token)->Scale = hasNaN ? float.NaN : scale;
    }

    /// <returns>Whether a NaN is among the codes; its integers are zero.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool WriteChunk(byte* codes, int columns, int* pairs, Rest* rests, ChunkHead* head)
    {
        Vector256<int> sum = Vector256<int>.Zero, isNaN = sum;
        int count = 0;
        for (int column = 0; column < columns; column += 8, pairs += 4)
        {
            Vector128<ushort> narrow = Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)(codes + column)).AsByte());
            (Vector128<uint> first, Vector128<uint> second) = Vector128.Widen(narrow);
            Vector256<int> code = Vector256.Create(first, second).AsInt32();
            Vector256<int> bad = Vector256.Equals(code & Vector256.Create(0x7F), Vector256.Create(0x7F));
            isNaN |= bad;
            Vector256<int> value = Vector256.ConvertToInt32(E4M3.Decode(Vector256.AndNot(code, bad)) * Vector256.Create(512f));
            sum += value;
            Vector256<int> main = (value + Vector256.Create(Half)) >> Bits, rest = value - (main << Bits);
            Pairs(main).Store(pairs);
            if (rest != Vector256<int>.Zero)
            {
                Vector128<int> both = Pairs(rest);
                for (int i = 0; i < 4; i++)
                {
                    if (both[i] != 0)
                    {
                        rests[count++] = new Rest { Pair = (column / 2) + i, Value = both[i] };
                    }
                }
            }
        }

        head->Rests = count;
        head->Offset = -TokenDigits.WeightOffset * Vector256.Sum(sum);
        return isNaN != Vector256<int>.Zero;
    }

    /// <summary>The first four integers in the low halves, the last four in the high ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Pairs(Vector256<int> values) =>
        (values.GetLower() & Vector128.Create(0xFFFF)) | (values.GetUpper() << 16);

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

        /// <summary>What the weights' offset adds to a sum, negative: -12 times the sum of the chunk's codes.</summary>
        public int Offset;
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
