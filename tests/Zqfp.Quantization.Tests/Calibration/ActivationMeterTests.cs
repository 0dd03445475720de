using Zqfp.Numerics;

namespace Zqfp.Quantization.Tests;

public sealed class ActivationMeterTests
{
    [Fact]
    public void Tokens_and_channels_are_told_by_their_largest_magnitudes()
    {
        // Token i has the largest magnitude i + 1, in channel 0; channel 1 reaches 0.5 and channel 2 none.
        float[] tokens = [.. Enumerable.Range(0, 100).SelectMany(i => (float[])[i % 2 == 0 ? i + 1 : -(i + 1), -0.5f, 0])];
        ActivationRange range = Measure(tokens, 3, chunk: 100);
        Assert.Equal(new ActivationRange(100, 5, 50, 95, range.Rms, 0.5f), range);
        Assert.Equal(Math.Sqrt((338350 + 25) / 300.0), range.Rms, 1e-3);
    }

    [Fact]
    public void How_tokens_are_divided_among_calls_changes_nothing()
    {
        var random = new Random(3);
        float[] tokens = [.. Enumerable.Range(0, 5 * 24).Select(_ => random.NextSingle() - 0.5f)];
        Assert.Equal(Measure(tokens, 5, chunk: 24), Measure(tokens, 5, chunk: 7));
    }

    [Fact]
    public void One_token_is_its_own_median_and_tails()
    {
        Assert.Equal(new ActivationRange(4, 4, 4, 4, MathF.Sqrt(12.5f), 3), Measure([3, -4], 2, chunk: 1));
    }

    private static ActivationRange Measure(float[] tokens, int columns, int chunk)
    {
        var meter = new ActivationMeter(columns);
        using var gram = new GramAccumulator(columns);
        foreach (float[] part in tokens.Chunk(chunk * columns))
        {
            meter.Add(part);
            gram.Add(part);
        }

        using Hessian hessian = gram.ToHessian();
        return meter.ToRange(hessian);
    }
}
