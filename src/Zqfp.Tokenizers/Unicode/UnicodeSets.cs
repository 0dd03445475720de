using System.Globalization;

namespace Zqfp.Tokenizers;

/// <summary>
/// Sets of code points by the names that patterns use. General categories are the runtime's (Unicode 16.0); what the runtime does not
/// know, scripts, the derived properties and case folding, lies in <c>UnicodeSets.txt</c>.
/// </summary>
internal sealed class UnicodeSets
{
    private static readonly Lazy<UnicodeSets> Shared = new(() => new UnicodeSets());

    private readonly Dictionary<UnicodeCategory, CodePointSet> _categories;
    private readonly Dictionary<string, CodePointSet> _named = [];

    private UnicodeSets()
    {
        _categories = ReadCategories();
        Dictionary<string, string> lines = UnicodeData.ReadLines("UnicodeSets.txt");
        foreach ((string name, string line) in lines)
        {
            if (!name.EndsWith("Folds", StringComparison.Ordinal))
            {
                _named[Key(name)] = CodePointSet.FromRanges(UnicodeData.ReadRanges(line));
            }
        }

        AddProperties();
        Folding = new CaseFolding(lines["CaseFolds"], lines["MultiFolds"]);
    }

    public static UnicodeSets Instance => Shared.Value;

    public CaseFolding Folding { get; }

    /// <summary><c>\s</c>: White_Space.</summary>
    public CodePointSet WhiteSpace => _named["space"];

    /// <summary><c>\d</c></summary>
    public CodePointSet Digit => _named["digit"];

    /// <summary><c>\h</c></summary>
    public CodePointSet HexDigit => _named["xdigit"];

    /// <summary><c>\w</c> in a bracketed class, and <c>[:word:]</c>.</summary>
    public CodePointSet Word => _named["word"];

    /// <summary>
    /// <c>\w</c>, <c>\p{Word}</c> and <c>\b</c> outside of classes: Oniguruma asks its Latin-1 table first, which counts ² ³ ¹ ¼ ½ ¾.
    /// </summary>
    public CodePointSet WordOutsideClass { get; private set; } = CodePointSet.Empty;

    /// <summary>The set of <c>\p{name}</c>; null where the name is not known.</summary>
    public CodePointSet? Property(string name) => _named.GetValueOrDefault(Key(name));

    /// <summary>The set of <c>[:name:]</c>; null where the name is not known.</summary>
    public CodePointSet? Posix(string name) => name switch
    {
        "punct" => Category('P').Union(Category('S')),
        "alnum" or "alpha" or "ascii" or "blank" or "cntrl" or "digit" or "graph" or "lower" or "print" or "space"
            or "upper" or "xdigit" or "word"
            => _named[name],
        _ => null,
    };

    /// <summary>Case, spaces, hyphens and underscores do not count in names.</summary>
    private static string Key(string name) =>
        string.Concat(name.Where(c => c is not (' ' or '-' or '_'))).ToLowerInvariant();

    private static Dictionary<UnicodeCategory, CodePointSet> ReadCategories()
    {
        var ranges = Enum.GetValues<UnicodeCategory>().ToDictionary(category => category, _ => new List<(int First, int Last)>());
        int start = 0;
        for (int point = 1; point <= CodePointSet.Last + 1; point++)
        {
            UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory(start);
            if (point > CodePointSet.Last || CharUnicodeInfo.GetUnicodeCategory(point) != category)
            {
                ranges[category].Add((start, point - 1));
                start = point;
            }
        }

        return ranges.ToDictionary(entry => entry.Key, entry => CodePointSet.FromRanges(entry.Value));
    }

    private CodePointSet Category(char major) => Union(_categories.Keys.Where(category => CategoryName(category)[0] == major));

    private CodePointSet Union(IEnumerable<UnicodeCategory> categories) =>
        CodePointSet.FromRanges(categories.SelectMany(category => _categories[category].Ranges));

    private void AddProperties()
    {
        foreach ((UnicodeCategory category, CodePointSet set) in _categories)
        {
            Add(set, CategoryName(category), LongName(category));
        }

        (char Major, string Name)[] majors =
            [('L', "Letter"), ('M', "Mark"), ('N', "Number"), ('P', "Punctuation"), ('S', "Symbol"), ('Z', "Separator"), ('C', "Other")];
        foreach ((char major, string name) in majors)
        {
            Add(Category(major), major.ToString(), name);
        }

        CodePointSet unassigned = _categories[UnicodeCategory.OtherNotAssigned];
        CodePointSet letters = Category('L');
        CodePointSet cased = Union([UnicodeCategory.UppercaseLetter, UnicodeCategory.LowercaseLetter, UnicodeCategory.TitlecaseLetter]);
        CodePointSet spaces = CodePointSet.FromRanges([(0x9, 0xD), (0x20, 0x20), (0x85, 0x85), .. Category('Z').Ranges]);
        CodePointSet control = _categories[UnicodeCategory.Control];
        CodePointSet digit = _categories[UnicodeCategory.DecimalDigitNumber];
        CodePointSet alphabetic = letters.Union(_categories[UnicodeCategory.LetterNumber]).Union(_named["otheralphabetic"]);
        CodePointSet connector = _categories[UnicodeCategory.ConnectorPunctuation];
        CodePointSet word = alphabetic.Union(Category('M')).Union(digit).Union(connector);
        CodePointSet graph = spaces.Union(control).Union(unassigned).Union(_categories[UnicodeCategory.Surrogate]).Complement();
        CodePointSet spaceSeparator = _categories[UnicodeCategory.SpaceSeparator];
        Add(CodePointSet.All, "Any");
        Add(unassigned.Complement(), "Assigned");
        Add(cased, "LC", "CasedLetter");
        Add(alphabetic, "Alpha", "Alphabetic");
        Add(alphabetic.Union(digit), "Alnum");
        Add(digit, "Digit");
        Add(spaces, "Space", "WhiteSpace");
        Add(spaceSeparator.Union(CodePointSet.Of('\t')), "Blank");
        Add(control, "Cntrl");
        Add(Category('P'), "Punct");
        Add(_categories[UnicodeCategory.UppercaseLetter].Union(_named["otheruppercase"]), "Upper", "Uppercase");
        Add(_categories[UnicodeCategory.LowercaseLetter].Union(_named["otherlowercase"]), "Lower", "Lowercase");
        Add(graph, "Graph");
        Add(graph.Union(spaceSeparator), "Print");
        Add(CodePointSet.FromRanges([('0', '9'), ('A', 'F'), ('a', 'f')]), "XDigit");
        Add(CodePointSet.Of(0, 0x7F), "ASCII");
        Add(word, "Word");
        WordOutsideClass = word.Union(CodePointSet.FromRanges([(0xB2, 0xB3), (0xB9, 0xB9), (0xBC, 0xBE)]));
    }

    private void Add(CodePointSet set, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            _named[Key(name)] = set;
        }
    }

    private static string CategoryName(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => "Lu",
        UnicodeCategory.LowercaseLetter => "Ll",
        UnicodeCategory.TitlecaseLetter => "Lt",
        UnicodeCategory.ModifierLetter => "Lm",
        UnicodeCategory.OtherLetter => "Lo",
        UnicodeCategory.NonSpacingMark => "Mn",
        UnicodeCategory.SpacingCombiningMark => "Mc",
        UnicodeCategory.EnclosingMark => "Me",
        UnicodeCategory.DecimalDigitNumber => "Nd",
        UnicodeCategory.LetterNumber => "Nl",
        UnicodeCategory.OtherNumber => "No",
        UnicodeCategory.SpaceSeparator => "Zs",
        UnicodeCategory.LineSeparator => "Zl",
        UnicodeCategory.ParagraphSeparator => "Zp",
        UnicodeCategory.Control => "Cc",
        UnicodeCategory.Format => "Cf",
        UnicodeCategory.Surrogate => "Cs",
        UnicodeCategory.PrivateUse => "Co",
        UnicodeCategory.ConnectorPunctuation => "Pc",
        UnicodeCategory.DashPunctuation => "Pd",
        UnicodeCategory.OpenPunctuation => "Ps",
        UnicodeCategory.ClosePunctuation => "Pe",
        UnicodeCategory.InitialQuotePunctuation => "Pi",
        UnicodeCategory.FinalQuotePunctuation => "Pf",
        UnicodeCategory.OtherPunctuation => "Po",
        UnicodeCategory.MathSymbol => "Sm",
        UnicodeCategory.CurrencySymbol => "Sc",
        UnicodeCategory.ModifierSymbol => "Sk",
        UnicodeCategory.OtherSymbol => "So",
        _ => "Cn",
    };

    /// <summary>Unicode's long name, which differs from the runtime's for a few.</summary>
    private static string LongName(UnicodeCategory category) => category switch
    {
        UnicodeCategory.NonSpacingMark => "NonspacingMark",
        UnicodeCategory.SpacingCombiningMark => "SpacingMark",
        UnicodeCategory.DecimalDigitNumber => "DecimalNumber",
        UnicodeCategory.InitialQuotePunctuation => "InitialPunctuation",
        UnicodeCategory.FinalQuotePunctuation => "FinalPunctuation",
        UnicodeCategory.OtherNotAssigned => "Unassigned",
        _ => category.ToString(),
    };
}
