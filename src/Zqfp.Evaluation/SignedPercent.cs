using System.Globalization;

namespace Zqfp.Evaluation;

/// <summary>Changes as people read them: in percent, with their sign.</summary>
internal static class SignedPercent
{
    /// <summary>Two decimals at most, for sentences, such as <c>+5 %</c>.</summary>
    /// <param name="fraction">The change, 0.05 for five percent.</param>
    public static string Short(double fraction) => Format(fraction, "0.##");

    /// <summary>Two decimals, for figures that stand together, such as <c>+5.00 %</c>.</summary>
    /// <param name="fraction">The change, 0.05 for five percent.</param>
    public static string Fixed(double fraction) => Format(fraction, "F2");

    private static string Format(double fraction, string format) =>
        $"{(fraction >= 0 ? "+" : "")}{(100 * fraction).ToString(format, CultureInfo.InvariantCulture)} %";
}
