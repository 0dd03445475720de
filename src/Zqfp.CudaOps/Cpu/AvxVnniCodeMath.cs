using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Inner loops for AVX-VNNI, which adds four products of bytes to 32 bits: a panel is eight registers wide.</summary>
internal sealed unsafe class AvxVnniCodeMath : CodeMath
{
    private const int Width = PackedWeights.PanelWidth;

    /// <summary>Rows of W worked on at once.</summary>
    private const int Part = 32;

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRow(byte* token, PackedWeights weights, int panel, float* totals)
    {
        new Span<float>(totals, Width).Clear();
        uint* words = weights.Codes(panel, 0);
        float* firstScale = weights.Scales(panel, 0);
        var head = (TokenDigits.ChunkHead*)(token + TokenDigits.HeadOffset(0));
        var digits = (sbyte*)(token + TokenDigits.DigitsOffset(weights.Layout, 0));
        Vector256<byte> table = Avx2CodeMath.Weights;
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            nint columns = chunk.Length;
            float* scales = firstScale + ((nint)chunk.Group * Width);
            Vector256<int> offset = Vector256.Create(head->Offset);
            for (int part = 0; part < Width; part += Part)
            {
                Vector256<int> h0 = Vector256<int>.Zero, h1 = h0, h2 = h0, h3 = h0, m0 = h0, m1 = h0, m2 = h0, m3 = h0, l0 = h0, l1 = h0,
                    l2 = h0, l3 = h0;
                uint* word = words + part;
                sbyte* end = digits + columns;
                for (sbyte* eight = digits; eight < end; eight += 8, word += Width)
                {
                    WeightStream.CallLine(word);
                    WeightStream.CallLine(word + 16);
                    Step(table, word, eight, columns, ref h0, ref m0, ref l0);
                    Step(table, word + 8, eight, columns, ref h1, ref m1, ref l1);
                    Step(table, word + 16, eight, columns, ref h2, ref m2, ref l2);
                    Step(table, word + 24, eight, columns, ref h3, ref m3, ref l3);
                }

                Avx2CodeMath.AddTotal(Sum(h0, m0, l0) + offset, scales + part, totals + part);
                Avx2CodeMath.AddTotal(Sum(h1, m1, l1) + offset, scales + part + 8, totals + part + 8);
                Avx2CodeMath.AddTotal(Sum(h2, m2, l2) + offset, scales + part + 16, totals + part + 16);
                Avx2CodeMath.AddTotal(Sum(h3, m3, l3) + offset, scales + part + 24, totals + part + 24);
            }

            words += columns / 8 * Width;
            digits += TokenDigits.Count * columns;
            head++;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step(
        Vector256<byte> table, uint* words, sbyte* digits, nint columns, ref Vector256<int> high, ref Vector256<int> middle,
        ref Vector256<int> low)
    {
        Avx2CodeMath.Split(table, Vector256.Load(words), out Vector256<byte> even, out Vector256<byte> odd);
        high = AvxVnni.MultiplyWideningAndAdd(high, even, Avx2CodeMath.Four(digits));
        middle = AvxVnni.MultiplyWideningAndAdd(middle, even, Avx2CodeMath.Four(digits + columns));
        low = AvxVnni.MultiplyWideningAndAdd(low, even, Avx2CodeMath.Four(digits + (2 * columns)));
        high = AvxVnni.MultiplyWideningAndAdd(high, odd, Avx2CodeMath.Four(digits + 4));
        middle = AvxVnni.MultiplyWideningAndAdd(middle, odd, Avx2CodeMath.Four(digits + columns + 4));
        low = AvxVnni.MultiplyWideningAndAdd(low, odd, Avx2CodeMath.Four(digits + (2 * columns) + 4));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Sum(Vector256<int> high, Vector256<int> middle, Vector256<int> low) =>
        (((high << TokenDigits.Bits) + middle) << TokenDigits.Bits) + low;
}
