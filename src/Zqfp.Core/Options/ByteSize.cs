using System.Globalization;

namespace Zqfp;

/// <summary>An amount of bytes as people write it: <c>3GB</c>, <c>750 MB</c>, <c>1.5GiB</c>, or a plain number.</summary>
internal static class ByteSize
{
    private static readonly KeyValuePair<string, long>[] Units =
    [
        new("KiB", 1L << 10), new("MiB", 1L << 20), new("GiB", 1L << 30), new("TiB", 1L << 40),
        new("KB", 1_000), new("MB", 1_000_000), new("GB", 1_000_000_000), new("TB", 1_000_000_000_000), new("B", 1),
    ];

    /// <summary>The bytes, more than 0; or null where the text is no such amount.</summary>
    public static long? Parse(string text)
    {
        text = text.Trim();
        long unit = 1;
        foreach (KeyValuePair<string, long> entry in Units)
        {
            if (text.EndsWith(entry.Key, StringComparison.OrdinalIgnoreCase))
            {
                text = text.Substring(0, text.Length - entry.Key.Length).TrimEnd();
                unit = entry.Value;
                break;
            }
        }

        return double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
            && number * unit is >= 1 and < long.MaxValue / 2
            ? (long)(number * unit)
            : null;
    }
}
