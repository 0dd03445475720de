using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps.Tests;

public sealed unsafe class StripEpilogueTests
{
    private const int Rows = 7, Count = 32, Columns = 80, First = 40;

    [Theory]
    [InlineData(0, false, false)]
    [InlineData(0, true, true)]
    [InlineData(5, false, true)]
    [InlineData(5, true, false)]
    public void Rows_at_once_have_the_bits_of_rows_one_by_one(int rank, bool isHalf, bool hasTargets)
    {
        using NativeBuffer totals = Random(Rows * Count, 1), rowScales = Random(Count, 2), bias = Random(Count, 3);
        using NativeBuffer scales = Random(Rows, 4), projections = Random(Rows * 8, 5), b = Random(8 * PackedWeights.PanelWidth, 6);
        using NativeBuffer row = new(Count * sizeof(float));
        int[] targets = [3, 0, 6, 2, 5, 1, 4];
        float[] expected = new float[Rows * Columns];
        for (int i = 0; i < Rows; i++)
        {
            Epilogue.Apply(totals.Floats + (i * Count), Count, rowScales.Floats, bias.Floats, scales.Floats[i],
                projections.Floats + (i * 8), b.Floats, rank, row.Floats);
            for (int j = 0; j < Count; j++)
            {
                expected[((hasTargets ? targets[i] : i) * Columns) + First + j] = isHalf ? (float)(Half)row.Floats[j] : row.Floats[j];
            }
        }

        fixed (int* target = targets)
        {
            int elementBytes = isHalf ? sizeof(Half) : sizeof(float);
            using NativeBuffer y = new(Rows * Columns * elementBytes);
            var strip = new StripEpilogue
            {
                Totals = totals.Floats,
                Rows = Rows,
                Count = Count,
                RowScales = rowScales.Floats,
                Bias = bias.Floats,
                TokenScales = scales.Floats,
                Projections = projections.Floats,
                ProjectionStride = 8,
                B = b.Floats,
                Rank = rank,
                Y = (nint)y.Bytes + (First * elementBytes),
                RowBytes = Columns * elementBytes,
                Targets = hasTargets ? target : null,
                IsHalf = isHalf,
            };
            foreach (Action apply in (Action[])[strip.Apply256, .. Vector512.IsHardwareAccelerated ? [strip.Apply512] : (Action[])[]])
            {
                new Span<byte>(y.Bytes, (int)y.ByteLength).Clear();
                apply();
                float[] made = new float[expected.Length];
                for (int i = 0; i < made.Length; i++)
                {
                    made[i] = isHalf ? (float)((Half*)y.Bytes)[i] : y.Floats[i];
                }

                Assert.Equal(expected, made);
            }
        }
    }

    private static NativeBuffer Random(int count, int seed)
    {
        var random = new Random(seed);
        var values = new NativeBuffer(count * sizeof(float));
        for (int i = 0; i < count; i++)
        {
            values.Floats[i] = (2 * random.NextSingle()) - 1;
        }

        return values;
    }
}
