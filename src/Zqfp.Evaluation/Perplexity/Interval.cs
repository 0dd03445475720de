namespace Zqfp.Evaluation;

/// <summary>A range that holds a value with 95 % confidence.</summary>
/// <param name="Low">Its lower end.</param>
/// <param name="High">Its upper end.</param>
internal sealed record Interval(double Low, double High)
{
    /// <summary>With fewer values than this no interval is given: it would rest on the guess that they are spread evenly.</summary>
    public const int LeastValues = 8;

    /// <summary>
    /// The interval of the mean of <paramref name="values"/> by Student's t, or null for fewer than <see cref="LeastValues"/>.
    /// </summary>
    public static Interval? OfMean(IReadOnlyList<double> values)
    {
        if (values.Count < LeastValues || StandardError(values) is not { } error)
        {
            return null;
        }

        double mean = values.Average();
        double half = StudentQuantile(values.Count - 1) * error;
        return new Interval(mean - half, mean + half);
    }

    /// <summary>Standard error of the mean: s / sqrt(n) with n - 1 in s; null for fewer than two values.</summary>
    public static double? StandardError(IReadOnlyList<double> values)
    {
        if (values.Count < 2)
        {
            return null;
        }

        double mean = values.Average();
        return Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1) / values.Count);
    }

    /// <summary>
    /// The 97.5 % quantile of Student's t: Fisher's expansion around the normal's, right to 1e-4 from 7 degrees of freedom.
    /// </summary>
    internal static double StudentQuantile(int degrees)
    {
        const double Z = 1.959963984540054;
        double z2 = Z * Z;
        double[] terms =
        [
            Z * (z2 + 1) / 4,
            Z * ((((5 * z2) + 16) * z2) + 3) / 96,
            Z * ((((((3 * z2) + 19) * z2) + 17) * z2) - 15) / 384,
            Z * ((((((((79 * z2) + 776) * z2) + 1482) * z2) - 1920) * z2) - 945) / 92160,
        ];
        return terms.Reverse().Aggregate(0.0, (sum, term) => (sum + term) / degrees) + Z;
    }
}
