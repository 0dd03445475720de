using System.Globalization;
using System.Net;

namespace Zqfp.Reporting;

/// <summary>Numbers and names as reports write them.</summary>
internal static class HtmlText
{
    /// <summary>Any text, harmless.</summary>
    public static string Escape(string text) => WebUtility.HtmlEncode(PrintableText.Of(text));

    public static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>A positive number in three digits.</summary>
    public static string Short(double value) => value switch
    {
        >= 1000 or < 0.001 and > 0 => Number(value, "0.0e+0"),
        >= 100 => Number(value, "0"),
        >= 10 => Number(value, "0.0"),
        >= 1 => Number(value, "0.00"),
        _ => Number(value, "0.000"),
    };

    public static string Megabytes(double bytes) => Number(bytes / 1e6, "F1") + " MB";

    /// <summary>A part of a whole as a length in CSS.</summary>
    public static string Width(double part, double whole) => Number(whole > 0 ? Math.Clamp(100 * part / whole, 0, 100) : 0, "0.##") + "%";
}
