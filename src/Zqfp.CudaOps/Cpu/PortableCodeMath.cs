using System.Runtime.CompilerServices;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Plain loops: what the vectorized implementations are compared with, and what runs where there are none.</summary>
internal sealed unsafe class PortableCodeMath : DigitMath
{
    private const int Width = PackedWeights.PanelWidth;

    [MethodImpl(HotLoop.Options)]
    public override void Decode(uint* words, int columns, byte* decoded)
    {
        ReadOnlySpan<float> values = NumberFormat.E2M1.Values;
        for (int column = 0; column < columns; column++)
        {
            byte* target = decoded + (((column / 8 * 2) + (column % 2)) * 4 * Width) + (column % 8 / 2);
            for (int row = 0; row < Width; row++)
            {
                int code = (int)(words[(column / 8 * Width) + row] >> (column % 8 * 4)) & 15;
                target[4 * row] = (byte)((2 * values[code]) + TokenDigits.WeightOffset);
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void Multiply(in TokenChunk chunk, byte* decoded, float* scales, float* totals)
    {
        int* sums = stackalloc int[Width];
        for (int token = 0; token < chunk.Rows; token++, totals += Width)
        {
            sbyte* digits = chunk.DigitsOf(token);
            new Span<int>(sums, Width).Clear();
            for (int column = 0; column < chunk.Columns; column++)
            {
                int number = 0;
                for (int digit = 0; digit < TokenDigits.Count; digit++)
                {
                    number = (number << TokenDigits.Bits) + digits[(digit * chunk.Columns) + column];
                }

                byte* weights = decoded + (column / 4 * 4 * Width) + (column % 4);
                for (int row = 0; row < Width && number != 0; row++)
                {
                    sums[row] += number * weights[4 * row];
                }
            }

            for (int row = 0; row < Width; row++)
            {
                float value = (float)(sums[row] + chunk.HeadOf(token)->Offset) * TokenDigits.Unit;
                totals[row] = MathF.FusedMultiplyAdd(value, scales[row], totals[row]);
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void MultiplyRow(byte* token, PackedWeights weights, int panel, float* totals)
    {
        new Span<float>(totals, Width).Clear();
        byte* decoded = stackalloc byte[GroupLayout.ChunkLength * Width];
        var head = (TokenDigits.ChunkHead*)(token + TokenDigits.HeadOffset(0));
        foreach (GroupLayout.Chunk chunk in weights.Layout.Chunks)
        {
            Decode(weights.Codes(panel, chunk.Start), chunk.Length, decoded);
            var digits = (sbyte*)(token + TokenDigits.DigitsOffset(weights.Layout, chunk.Start));
            var tokens = new TokenChunk { Head = head++, Digits = digits, Stride = 0, Rows = 1, Columns = chunk.Length };
            Multiply(tokens, decoded, weights.Scales(panel, chunk.Group), totals);
        }
    }
}
