using System.Globalization;

namespace Zqfp.Evaluation;

/// <summary>What something was measured on.</summary>
/// <param name="Count">How many.</param>
/// <param name="Unit">Of what, such as <c>windows</c>.</param>
internal sealed record Evidence(int Count, string Unit)
{
    /// <summary>How much more would decide what an interval leaves open: it narrows with the root of the count.</summary>
    /// <param name="value">What was measured.</param>
    /// <param name="interval">Its interval, which holds <paramref name="limit"/>.</param>
    /// <param name="limit">The limit.</param>
    public string Needed(double value, Interval interval, double limit)
    {
        double half = value > limit ? value - interval.Low : interval.High - value;
        double times = Math.Pow(half / (value - limit), 2);
        return times <= 100
            ? string.Create(CultureInfo.InvariantCulture,
                $"About {Math.Ceiling(Math.Round(Count * (times - 1), 6)):0} more {Unit} would decide.")
            : $"No reasonable number of {Unit} would decide.";
    }
}
