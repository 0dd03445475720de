using System.Globalization;

namespace Zqfp.Tool;

/// <summary>Numbers of bytes as people read them.</summary>
internal static class Sizes
{
    private static readonly string[] Units = ["kB", "MB", "GB", "TB"];

    /// <summary>In MB, whatever the size: numbers that are to be compared.</summary>
    public static string Megabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB");

    /// <summary>In the unit that leaves one to three digits before the point.</summary>
    public static string Readable(long bytes)
    {
        double value = bytes / 1e3;
        int unit = 0;
        for (; value >= 999.95 && unit + 1 < Units.Length; unit++)
        {
            value /= 1e3;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value:0.0} {Units[unit]}");
    }
}
