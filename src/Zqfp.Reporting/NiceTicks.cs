namespace Zqfp.Reporting;

/// <summary>Round numbers along an axis.</summary>
internal static class NiceTicks
{
    /// <summary>
    /// About <paramref name="count"/> multiples of 1, 2 or 5 times a power of ten, from <paramref name="low"/> to <paramref name="high"/>.
    /// </summary>
    public static IEnumerable<double> Between(double low, double high, int count)
    {
        double span = high - low;
        if (!(span > 0))
        {
            return [low];
        }

        double power = Math.Pow(10, Math.Floor(Math.Log10(span / count)));
        double step = power * (span / count / power) switch { < 1.5 => 1, < 3.5 => 2, < 7.5 => 5, _ => 10 };
        long first = (long)Math.Ceiling((low / step) - 1e-9);
        long last = (long)Math.Floor((high / step) + 1e-9);
        return Enumerable.Range(0, (int)(last - first + 1)).Select(i => (first + i) * step);
    }
}
