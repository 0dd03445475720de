namespace Zqfp.Tokenizers;

/// <summary>
/// What the reference's normalizers know of Unicode, which is older than the runtime's data: compatibility decompositions, and the sets
/// that BERT's stages remove or cut at.
/// </summary>
internal sealed class NormalizationTables
{
    private static readonly Lazy<NormalizationTables> Shared = new(() => new NormalizationTables());

    private readonly Dictionary<int, int[]> _compatibility = [];

    private NormalizationTables()
    {
        Dictionary<string, string> lines = UnicodeData.ReadLines("NormalizationTables.txt");
        foreach (string entry in lines["Compatibility"].Split(' '))
        {
            string[] sides = entry.Split('=');
            _compatibility.Add(UnicodeData.Hex(sides[0]), [.. sides[1].Split('+').Select(UnicodeData.Hex)]);
        }

        CombiningMarks = Read("CombiningMark");
        BertControls = Read("BertControl");
        BertAccents = Read("BertAccent");
        Punctuation = Read("BertPunctuation");

        CodePointSet Read(string name) => CodePointSet.FromRanges(UnicodeData.ReadRanges(lines[name]));
    }

    public static NormalizationTables Instance => Shared.Value;

    /// <summary>What <c>StripAccents</c> removes.</summary>
    public CodePointSet CombiningMarks { get; }

    /// <summary>What <c>BertNormalizer</c> removes when it cleans a text.</summary>
    public CodePointSet BertControls { get; }

    /// <summary>What <c>BertNormalizer</c> removes of decomposed letters.</summary>
    public CodePointSet BertAccents { get; }

    /// <summary>What <c>BertPreTokenizer</c> and <c>Punctuation</c> cut at.</summary>
    public CodePointSet Punctuation { get; }

    /// <summary>The full compatibility decomposition, where it differs from the canonical one.</summary>
    public bool TryDecompose(int codePoint, out ReadOnlySpan<int> parts)
    {
        bool found = _compatibility.TryGetValue(codePoint, out int[]? decomposition);
        parts = decomposition;
        return found;
    }
}
