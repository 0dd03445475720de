using System.Globalization;

namespace Zqfp.Tokenizers;

/// <summary>The canonical data, parsed once into what normalization looks up.</summary>
internal sealed class CanonicalTables
{
    private static readonly Lazy<CanonicalTables> Parsed = new(() => new CanonicalTables());

    private readonly Dictionary<int, (int First, int Second)> _decompositions = [];
    private readonly Dictionary<(int First, int Second), int> _compositions = [];
    private readonly Dictionary<int, byte> _classes = [];

    // What may change under composition: combining characters, second halves of compositions, and what never is composed.
    private readonly HashSet<int> _unstable = [];

    private CanonicalTables()
    {
        foreach (string entry in Words(CanonicalData.CombiningClasses))
        {
            ReadClass(entry);
        }

        foreach (string entry in Words(CanonicalData.Decompositions))
        {
            ReadDecomposition(entry);
        }
    }

    public static CanonicalTables Instance => Parsed.Value;

    /// <summary>The canonical combining class of a code point; 0 for those that begin a cluster.</summary>
    public byte ClassOf(int codePoint) => _classes.GetValueOrDefault(codePoint);

    /// <summary>One step of decomposition; the second half is negative for singletons.</summary>
    public bool TryDecompose(int codePoint, out (int First, int Second) parts) => _decompositions.TryGetValue(codePoint, out parts);

    /// <summary>The primary composite of two code points.</summary>
    public bool TryCompose(int first, int second, out int composite) => _compositions.TryGetValue((first, second), out composite);

    /// <summary>Whether composition may change or move this code point, or what stands before it.</summary>
    public bool MayChange(int codePoint) => _unstable.Contains(codePoint) || Hangul.IsVowelOrTrail(codePoint);

    /// <summary>Whether decomposition may change or move this code point.</summary>
    public bool Decomposes(int codePoint) =>
        _classes.ContainsKey(codePoint) || _decompositions.ContainsKey(codePoint) || Hangul.TryDecompose(codePoint, out _);

    private static string[] Words(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private void ReadClass(string entry)
    {
        string[] sides = entry.Split(':');
        string[] range = sides[0].Split('-');
        for (int codePoint = Hex(range[0]); codePoint <= Hex(range[^1]); codePoint++)
        {
            _classes.Add(codePoint, byte.Parse(sides[1], CultureInfo.InvariantCulture));
            _unstable.Add(codePoint);
        }
    }

    private void ReadDecomposition(string entry)
    {
        bool excluded = entry[0] == '!';
        string[] sides = entry.TrimStart('!').Split('=');
        int composed = Hex(sides[0]);
        int[] parts = [.. sides[1].Split('+').Select(Hex)];
        _decompositions.Add(composed, (parts[0], parts.Length > 1 ? parts[1] : -1));
        if (excluded)
        {
            _unstable.Add(composed);
        }
        else
        {
            _compositions.Add((parts[0], parts[1]), composed);
            _unstable.Add(parts[1]);
        }
    }
}
