namespace Zqfp.Numerics.Tests;

public sealed class CenteringTests
{
    private const int Columns = 24;
    private const int Rows = 7;
    private const int Tokens = 300;
    private const int Split = 90;

    private static readonly float[] Inputs = [.. RandomData.Uniform(Tokens * Columns, 1).Select((x, i) => x + (i % Columns / 8f))];
    private static readonly float[] Outputs = [.. RandomData.Uniform(Tokens * Rows, 2).Select((t, i) => t - (i % Rows))];

    [Fact]
    public void Parts_add_up_to_the_moments_about_the_means_of_all_tokens()
    {
        double[] inputMean = Mean(Inputs, Columns);
        double[] outputMean = Mean(Outputs, Rows);
        using Part fit = new(Split, Tokens, inputMean, outputMean);
        using Part held = new(0, Split, inputMean, outputMean);
        fit.Hessian.Add(held.Hessian);
        fit.Moment.Add(held.Moment);
        for (int i = 0; i < Columns; i++)
        {
            for (int row = 0; row < Rows; row++)
            {
                Assert.Equal(Expected(Outputs, Rows, outputMean, row, inputMean, i), fit.Moment.Row(row)[i], 1e-4);
            }

            for (int j = 0; j < Columns; j++)
            {
                Assert.Equal(Expected(Inputs, Columns, inputMean, j, inputMean, i), fit.Hessian.Row(j)[i], 1e-4);
                Assert.Equal(fit.Hessian.Row(i)[j], fit.Hessian.Row(j)[i]);
            }
        }
    }

    [Fact]
    public void The_mean_of_two_sums_is_that_of_all_rows()
    {
        TokenSum one = new(Columns), other = new(Columns);
        one.Add(Inputs.AsSpan(0, Split * Columns));
        other.Add(Inputs.AsSpan(Split * Columns, 10 * Columns));
        other.Add(Inputs.AsSpan((Split + 10) * Columns));
        Assert.Equal(Mean(Inputs, Columns), TokenSum.Mean(one, other, Tokens), (a, b) => Math.Abs(a - b) < 1e-6);
    }

    private static double Expected(float[] left, int leftColumns, double[] leftMean, int i, double[] mean, int j) => 2.0 / Tokens
        * Enumerable.Range(0, Tokens).Sum(t => (left[(t * leftColumns) + i] - leftMean[i]) * (Inputs[(t * Columns) + j] - mean[j]));

    private static double[] Mean(float[] rows, int columns) =>
        [.. Enumerable.Range(0, columns).Select(i => rows.Where((_, at) => at % columns == i).Average(value => (double)value))];

    /// <summary>The centered moments of the tokens from one to another.</summary>
    private sealed class Part : IDisposable
    {
        public Part(int start, int end, double[] inputMean, double[] outputMean)
        {
            int count = end - start;
            TokenSum inputs = new(Columns), outputs = new(Rows);
            using var sums = new GramAccumulator(Columns, Workers.Of(1, CancellationToken.None), Rows);
            inputs.Add(Inputs.AsSpan(start * Columns, count * Columns));
            outputs.Add(Outputs.AsSpan(start * Rows, count * Rows));
            sums.Add(count, places =>
            {
                for (int i = 0; i < places.Count; i++)
                {
                    places.Set(i, Inputs.AsSpan((start + places.First + i) * Columns, Columns));
                    places.SetBeside(0, i, Outputs.AsSpan((start + places.First + i) * Rows, Rows));
                }
            });
            Moment = sums.TakeBeside(0, Tokens);
            Hessian = sums.ToHessian(Tokens);
            var centering = new Centering(inputMean, Tokens);
            centering.Apply(Hessian, inputs.Values);
            centering.Apply(Moment, count, outputs.Values, outputMean, inputs.Values);
        }

        public Hessian Hessian { get; }

        public CrossMoment Moment { get; }

        public void Dispose()
        {
            Hessian.Dispose();
            Moment.Dispose();
        }
    }
}
