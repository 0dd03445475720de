using MathNet.Numerics.LinearAlgebra;

namespace Zqfp.Numerics.Tests;

public sealed class FloatTargetTests
{
    private const int Columns = 200;
    private const int Rows = 70;
    private const int Tokens = 900;
    private const int HeldTokens = 150;

    private static readonly float[] Exact = RandomData.Tokens(Tokens, Columns, 1);
    private static readonly float[] Read = [.. Exact.Zip(RandomData.Uniform(Tokens * Columns, 2, 0.3f), (x, noise) => x + noise)];
    private static readonly float[] Weights = RandomData.Uniform(Rows * Columns, 3);
    private static readonly Matrix<double> W = Matrix<double>.Build.Dense(Rows, Columns, (i, j) => Weights[(i * Columns) + j]);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Weights_move_to_the_ridge_solution_of_the_held_out_lambda(bool fromInputs)
    {
        Matrix<double> x = Dense(Exact);
        Matrix<double> a = Dense(Read);
        Matrix<double> targets = W * x;
        Matrix<double> Solve(Matrix<double> tokens, Matrix<double> t, double ridge)
        {
            Matrix<double> h = tokens * tokens.Transpose();
            double damping = ridge * h.Diagonal().Average();
            Matrix<double> identity = Matrix<double>.Build.DenseIdentity(Columns);
            return (((t * tokens.Transpose()) + (damping * W)) * (h + (damping * identity)).Inverse()) - W;
        }

        Matrix<double> heldIn = a.SubMatrix(0, Columns, 0, HeldTokens);
        Matrix<double> heldOut = targets.SubMatrix(0, Rows, 0, HeldTokens);
        Matrix<double> fitIn = a.SubMatrix(0, Columns, HeldTokens, Tokens - HeldTokens);
        Matrix<double> fitOut = targets.SubMatrix(0, Rows, HeldTokens, Tokens - HeldTokens);
        double expected = FloatTarget.Ridges.MinBy(ridge => (((W + Solve(fitIn, fitOut, ridge)) * heldIn) - heldOut).FrobeniusNorm());

        (double chosen, float[] moved) = Move(fromInputs, threads: 2);
        Assert.Equal(expected, chosen);
        Matrix<double> best = W + Solve(a, targets, expected);
        for (int i = 0; i < moved.Length; i++)
        {
            Assert.Equal(best[i / Columns, i % Columns], moved[i], tolerance: 1e-3);
        }
    }

    [Fact]
    public void The_number_of_threads_changes_no_bit()
    {
        float[] expected = Move(fromInputs: true, threads: 1).Weights;
        Assert.Equal(expected, Move(fromInputs: true, threads: 2).Weights);
        Assert.Equal(expected, Move(fromInputs: true, threads: 8).Weights);
        Assert.Equal(Move(fromInputs: false, threads: 1).Weights, Move(fromInputs: false, threads: 8).Weights);
    }

    [Fact]
    public void Weights_stay_where_the_held_out_tokens_gain_nothing()
    {
        using Hessian hessian = RandomData.Hessian(Columns, 5);
        using var none = new CrossMoment(Columns, Columns);
        using TargetGap gap = TargetGap.FromInputs(Weights, Rows, none, new Workers(1, default));
        Assert.Equal(double.PositiveInfinity, FloatTarget.Choose(hessian, hessian, gap, gap, new Workers(1, default)));
    }

    private static (double Ridge, float[] Weights) Move(bool fromInputs, int threads)
    {
        var workers = new Workers(threads, default);
        using Hessian fit = Gram(HeldTokens, Tokens, threads);
        using Hessian held = Gram(0, HeldTokens, threads);
        using Hessian all = Gram(0, Tokens, threads);
        using TargetGap fitGap = Gap(fromInputs, fit, HeldTokens, Tokens, workers);
        using TargetGap heldGap = Gap(fromInputs, held, 0, HeldTokens, workers);
        double ridge = FloatTarget.Choose(fit, held, fitGap, heldGap, workers);
        fitGap.Add(heldGap);
        float[] weights = [.. Weights];
        Assert.True(FloatTarget.Apply(weights, all, fitGap, ridge, workers));
        return (ridge, weights);
    }

    private static Hessian Gram(int first, int end, int threads)
    {
        using var gram = new GramAccumulator(Columns, threads);
        gram.Add(Read.AsSpan(first * Columns, (end - first) * Columns));
        return gram.ToHessian(Tokens);
    }

    private static TargetGap Gap(bool fromInputs, Hessian hessian, int first, int end, Workers workers)
    {
        float[] read = Read[(first * Columns)..(end * Columns)];
        float[] exact = Exact[(first * Columns)..(end * Columns)];
        int tokens = end - first;
        if (fromInputs)
        {
            using CrossMoment shift = Cross([.. exact.Zip(read, (x, a) => x - a)], Columns, read, workers);
            return TargetGap.FromInputs(Weights, Rows, shift, workers);
        }

        float[] targets = new float[tokens * Rows];
        for (int i = 0; i < targets.Length; i++)
        {
            targets[i] = (float)VectorMath.Dot(Weights.AsSpan(i % Rows * Columns, Columns), exact.AsSpan(i / Rows * Columns, Columns));
        }

        using CrossMoment moment = Cross(targets, Rows, read, workers);
        return TargetGap.FromOutputs(Weights, moment, hessian, workers);
    }

    private static CrossMoment Cross(float[] left, int rows, float[] read, Workers workers)
    {
        using var sums = new GramAccumulator(Columns, workers, rows);
        sums.Add(read.Length / Columns, places =>
        {
            for (int i = 0; i < places.Count; i++)
            {
                places.Set(i, read.AsSpan((places.First + i) * Columns, Columns));
                places.SetBeside(0, i, left.AsSpan((places.First + i) * rows, rows));
            }
        });
        return sums.TakeBeside(0, Tokens);
    }

    private static Matrix<double> Dense(float[] tokens) => Matrix<double>.Build.Dense(Columns, Tokens, (i, j) => tokens[(j * Columns) + i]);
}
