namespace Zqfp.Benchmarks;

internal static class Statistics
{
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    /// <summary>How many times faster than a baseline: the median of the ratios within rounds.</summary>
    /// <param name="baseline">The baseline's time of each round.</param>
    /// <param name="times">The other's.</param>
    public static double Speedup(IEnumerable<double> baseline, IEnumerable<double> times) =>
        Median(baseline.Zip(times, (one, other) => one / other));
}
