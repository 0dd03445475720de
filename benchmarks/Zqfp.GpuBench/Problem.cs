using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>A linear layer of random weights and its arithmetic in float64.</summary>
internal sealed class Problem
{
    private static readonly double[] Magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

    public Problem(int rows, int columns, int group, int seed, int rank = 0, bool bias = false, bool floatScales = false)
    {
        Layout = new PackedLayout(rows, columns, group, floatScales);
        Rank = rank;
        Groups = (columns + group - 1) / group;
        Random random = new(seed);
        Codes = new byte[(long)rows * columns / 2];
        random.NextBytes(Codes);
        Exponents = new byte[rows * Groups];
        GroupScales = new float[rows * Groups];
        RowScales = new float[rows];
        for (int row = 0; row < rows; row++)
        {
            RowScales[row] = 0.01f * (1 + random.NextSingle());
            for (int g = 0; g < Groups; g++)
            {
                // Small exponents as real layers have them, with the whole range now and then.
                Exponents[(row * Groups) + g] = (byte)(random.Next(16) == 0 ? random.Next(PackedLayout.MaxExponent + 1) : random.Next(3));
                GroupScales[(row * Groups) + g] = RowScales[row] * (0.3f + random.NextSingle());
            }
        }

        Bias = bias ? Fill(rows, random, 1) : [];
        A = Halves(Fill(rank * columns, random, 0.05f));
        B = Halves(Fill(rank * rows, random, 0.05f));
    }

    public PackedLayout Layout { get; }

    public int Rank { get; }

    public int Groups { get; }

    public byte[] Codes { get; }

    public byte[] Exponents { get; }

    public float[] RowScales { get; }

    public float[] GroupScales { get; }

    public float[] Bias { get; }

    public float[] A { get; }

    public float[] B { get; }

    public WeightData Data => Layout.FloatScales
        ? new(Layout, Codes, default, default, GroupScales, Bias, A, B, Rank)
        : new(Layout, Codes, Exponents, RowScales, default, Bias, A, B, Rank);

    public double Weight(int row, int column)
    {
        int code = (Codes[((long)row * Layout.Columns / 2) + (column / 2)] >> (4 * (column % 2))) & 15;
        int g = (row * Groups) + (column / Layout.GroupSize);
        double scale = Layout.FloatScales ? GroupScales[g] : RowScales[row] * Math.Pow(2, -Exponents[g]);
        return (code >= 8 ? -Magnitudes[code - 8] : Magnitudes[code]) * scale;
    }

    /// <summary>Y [M, N] from quantized tokens, in float64.</summary>
    public double[] Multiply(byte[] codes, float[] scales)
    {
        int tokens = scales.Length, rows = Layout.Rows, columns = Layout.Columns;
        double[] x = [.. codes.Select(E4M3.ToDouble)];
        double[] y = new double[(long)tokens * rows];
        double[] low = new double[tokens * Rank];
        for (int token = 0; token < tokens; token++)
        {
            for (int r = 0; r < Rank; r++)
            {
                low[(token * Rank) + r] = Dot(x.AsSpan(token * columns, columns), A.AsSpan(r * columns, columns));
            }
        }

        Parallel.For(0, rows, row =>
        {
            double[] exact = new double[columns];
            for (int column = 0; column < columns; column++)
            {
                exact[column] = Weight(row, column);
            }

            for (int token = 0; token < tokens; token++)
            {
                double sum = 0;
                for (int column = 0; column < columns; column++)
                {
                    sum += exact[column] * x[(token * columns) + column];
                }

                for (int r = 0; r < Rank; r++)
                {
                    sum += B[(row * Rank) + r] * low[(token * Rank) + r];
                }

                y[((long)token * rows) + row] = (sum * scales[token]) + (Bias.Length > 0 ? Bias[row] : 0);
            }
        });
        return y;
    }

    public static float[] RandomTokens(int tokens, int columns, int seed)
    {
        Random random = new(seed);
        float[] x = new float[(long)tokens * columns];
        for (int i = 0; i < x.Length; i++)
        {
            // Roughly normal, with the outliers activations have.
            x[i] = (random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f) * (random.Next(500) == 0 ? 20 : 1);
        }

        return x;
    }

    private static double Dot(ReadOnlySpan<double> x, ReadOnlySpan<float> a)
    {
        double sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            sum += x[i] * a[i];
        }

        return sum;
    }

    private static float[] Fill(int count, Random random, float scale)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = ((random.NextSingle() * 2) - 1) * scale;
        }

        return values;
    }

    private static float[] Halves(float[] values) => [.. values.Select(v => (float)(Half)v)];
}
