using System.Runtime.CompilerServices;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Plain loops: what the vectorized implementations are compared with, and what runs where there are none.</summary>
internal sealed unsafe class PortablePanelMath : PanelMath
{
    private const int Width = PackedWeights.PanelWidth;

    /// <summary>A whole panel.</summary>
    public override int StripWidth => Width;

    public override int RowUnit => 2;

    [MethodImpl(HotLoop.Options)]
    public override void DecodeE2M1(uint* words, int columns, float* strip)
    {
        ReadOnlySpan<float> values = NumberFormat.E2M1.Values;
        for (int i = 0; i < columns * Width; i++)
        {
            int column = i / Width, row = i % Width;
            strip[i] = values[(int)(words[(column / 8 * Width) + row] >> (column % 8 * 4)) & 15];
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void DecodeE4M3(uint* words, int columns, float* strip)
    {
        ReadOnlySpan<float> values = NumberFormat.E4M3.Values;
        for (int i = 0; i < columns * Width; i++)
        {
            int column = i / Width, row = i % Width;
            strip[i] = values[(int)(words[(column / 4 * Width) + row] >> (column % 4 * 8)) & 255];
        }
    }

    [MethodImpl(HotLoop.Options)]
    public override void Multiply(float* x, in RowTiles tiles, float* strip, int columns, float* scales, float* totals)
    {
        float* sums = stackalloc float[Width];
        for (int row = 0; row < tiles.Rows; row++, totals += Width)
        {
            (int first, int rows) = tiles.Of(row);
            float* values = x + ((nint)first * columns) + (row - first);
            new Span<float>(sums, Width).Clear();
            for (int column = 0; column < columns; column++)
            {
                float value = values[column * rows];
                for (int i = 0; i < Width; i++)
                {
                    sums[i] = MathF.FusedMultiplyAdd(value, strip[(column * Width) + i], sums[i]);
                }
            }

            for (int i = 0; i < Width; i++)
            {
                totals[i] = MathF.FusedMultiplyAdd(sums[i], scales[i], totals[i]);
            }
        }
    }

    public override void MultiplyRowE2M1(float* x, PackedWeights weights, int panel, float* totals) => MultiplyRow(
        x, weights, panel, totals);

    public override void MultiplyRowE4M3(float* x, PackedWeights weights, int panel, float* totals) => MultiplyRow(
        x, weights, panel, totals);

    [MethodImpl(HotLoop.Options)]
    public override void Project(float* x, float* a, int length, int rows, float* results)
    {
        const int Chains = 16;
        float* sums = stackalloc float[Chains];
        for (int row = 0; row < rows; row++, a += length)
        {
            new Span<float>(sums, Chains).Clear();
            for (int i = 0; i < length; i++)
            {
                sums[i % Chains] = MathF.FusedMultiplyAdd(x[i], a[i], sums[i % Chains]);
            }
            for (int half = Chains / 2; half > 0; half /= 2)
            {
                for (int i = 0; i < half; i++)
                {
                    sums[i] += sums[i + half];
                }
            }
            results[row] = sums[0];
        }
    }

    private void MultiplyRow(float* x, PackedWeights weights, int panel, float* totals)
    {
        float* values = stackalloc float[Width * GroupLayout.Alignment];
        float* sums = stackalloc float[Width];
        new Span<float>(totals, Width).Clear();
        foreach (ref readonly GroupLayout.Chunk chunk in weights.Layout.Chunks.AsSpan())
        {
            new Span<float>(sums, Width).Clear();
            for (int column = 0; column < chunk.Length; column += GroupLayout.Alignment)
            {
                Decode(weights, panel, chunk.Start + column, values);
                for (int i = 0; i < Width * GroupLayout.Alignment; i++)
                {
                    sums[i % Width] = MathF.FusedMultiplyAdd(x[chunk.Start + column + (i / Width)], values[i], sums[i % Width]);
                }
            }
            float* scales = weights.Scales(panel, chunk.Group);
            for (int i = 0; i < Width; i++)
            {
                totals[i] = MathF.FusedMultiplyAdd(sums[i], scales[i], totals[i]);
            }
        }
    }

    private void Decode(PackedWeights weights, int panel, int column, float* values)
    {
        if (weights.Format == WeightFormat.E2M1)
        {
            DecodeE2M1(weights.Codes(panel, column), GroupLayout.Alignment, values);
        }
        else
        {
            DecodeE4M3(weights.Codes(panel, column), GroupLayout.Alignment, values);
        }
    }
}
