using System.Runtime.CompilerServices;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Plain loops: what the vectorized implementations are compared with, and what runs where there are none.</summary>
internal sealed unsafe class PortablePairMath : PairMath
{
    private const int Width = PackedWeights.PanelWidth;

    public override int StripWidth => Width;

    public override int RowUnit => 2;

    [MethodImpl(HotLoop.Options)]
    public override void Decode(uint* words, int columns, int* strip)
    {
        ReadOnlySpan<float> values = NumberFormat.E2M1.Values;
        for (int pair = 0; pair < columns / 2; pair++)
        {
            for (int row = 0; row < Width; row++, strip++)
            {
                uint word = words[(pair / 4 * Width) + row] >> (pair % 4 * 4);
                int first = (int)(2 * values[(int)word & 15]), second = (int)(2 * values[(int)(word >> 16) & 15]);
                *strip = (first & 0xFFFF) | (second << 16);
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void Multiply(
        float* x, in RowTiles tiles, int* strip, int pairs, int* places, int* starts, float* scales, float* totals)
    {
        int* sums = stackalloc int[Width];
        for (int row = 0; row < tiles.Rows; row++, starts += Width, totals += Width)
        {
            (int first, int rows) = tiles.Of(row);
            int* values = (int*)x + ((nint)first * pairs) + (row - first);
            new Span<int>(sums, Width).Clear();
            for (int pair = 0; pair < pairs; pair++)
            {
                Add(values[pair * rows], strip + (pair * Width), sums);
            }

            for (int i = 0; i < Width; i++)
            {
                float value = (float)((sums[i] << places[row]) + starts[i]) * TokenDigits.Unit;
                totals[i] = MathF.FusedMultiplyAdd(value, scales[i], totals[i]);
            }
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void Start(TokenPairs.Rest* rests, int count, int* strip, int* starts)
    {
        new Span<int>(starts, Width).Clear();
        for (int i = 0; i < count; i++)
        {
            Add(rests[i].Value, strip + (rests[i].Pair * Width), starts);
        }
    }

    private static void Add(int value, int* weights, int* sums)
    {
        for (int i = 0; i < Width; i++)
        {
            sums[i] += ((short)value * (short)weights[i]) + ((value >> 16) * (weights[i] >> 16));
        }
    }
}
