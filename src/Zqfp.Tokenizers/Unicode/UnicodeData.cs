using System.Globalization;

namespace Zqfp.Tokenizers;

/// <summary>Reads the embedded tables: one entry a line, its name, a space, and its content in hexadecimal.</summary>
internal static class UnicodeData
{
    public static Dictionary<string, string> ReadLines(string name)
    {
        using Stream stream = typeof(UnicodeData).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The table {name} is not in the assembly.");
        using var reader = new StreamReader(stream);
        var lines = new Dictionary<string, string>(StringComparer.Ordinal);
        while (reader.ReadLine() is { } line)
        {
            int space = line.IndexOf(' ');
            lines.Add(line[..space], line[(space + 1)..]);
        }

        return lines;
    }

    /// <summary>Ranges written <c>41-5A 61</c>.</summary>
    public static IEnumerable<(int First, int Last)> ReadRanges(string line)
    {
        foreach (string entry in line.Split(' '))
        {
            string[] ends = entry.Split('-');
            yield return (Hex(ends[0]), Hex(ends[^1]));
        }
    }

    public static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
