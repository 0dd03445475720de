namespace Zqfp.Evaluation;

/// <summary>How values are spread: extremes and percentiles, those between two values interpolated.</summary>
internal sealed record Distribution(
    double Maximum, double P999, double P99, double P95, double P90, double Median, double P10, double P5, double P1, double P01,
    double Minimum)
{
    /// <summary>The spread of one value or more.</summary>
    public static Distribution Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return new Distribution(At(1), At(0.999), At(0.99), At(0.95), At(0.9), At(0.5), At(0.1), At(0.05), At(0.01), At(0.001), At(0));

        double At(double fraction)
        {
            double place = fraction * (sorted.Length - 1);
            int below = (int)place;
            double share = place - below;
            return (sorted[below] * (1 - share)) + (sorted[Math.Min(below + 1, sorted.Length - 1)] * share);
        }
    }
}
