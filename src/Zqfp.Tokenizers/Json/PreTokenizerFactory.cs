
namespace Zqfp.Tokenizers;

/// <summary>Makes the pre-tokenizer of <c>pre_tokenizer</c>.</summary>
internal static class PreTokenizerFactory
{
    // This one's \w is that of Rust's regular expressions, with the joiners (Unicode Technical Standard 18, annex C).
    private const string WordsAndSymbols = @"[\w\x{200C}\x{200D}]+|[^\w\x{200C}\x{200D}\s]+";

    /// <summary>The pre-tokenizer, null for none, and whether the model works on bytes (<c>ByteLevel</c> is its last stage).</summary>
    /// <exception cref="ZqfpException">ZQFP0105.</exception>
    public static (WordSplitter? Splitter, bool ByteLevel) Create(JsonComponent? component)
    {
        var stages = new List<WordSplitter>();
        bool byteLevel = false;
        foreach (JsonComponent stage in Flatten(component))
        {
            if (byteLevel)
            {
                throw stage.Unsupported(TextCodes.PreTokenizerUnsupported, $"a pre-tokenizer of type '{stage.Type}' after 'ByteLevel'");
            }

            byteLevel = stage.Type == "ByteLevel";
            if (CreateStage(stage) is { } made)
            {
                stages.Add(made);
            }
        }

        WordSplitter? all = stages.Count switch
        {
            0 => null,
            1 => stages[0],
            _ => new SequenceSplitter(stages),
        };
        return (all, byteLevel);
    }

    /// <summary>
    /// Cuts at space marks where no token crosses one: the ids stay the same, and text that no pre-tokenizer cuts
    /// (LLaMA-2, Mistral) is encoded word by word instead of as one long word.
    /// </summary>
    public static WordScanner? WordCutter(WordSplitter? splitter, JsonComponent model, Vocabulary vocabulary)
    {
        // A whole piece found in the vocabulary must stay whole.
        bool mayCut = !model.Bool("ignore_merges", false) && vocabulary.CutsAtSpaceMarks;
        return mayCut && (splitter is null or MetaspaceSplitter { Cuts: false }) ? new SpaceMarkScanner() : null;
    }

    private static IEnumerable<JsonComponent> Flatten(JsonComponent? component)
    {
        if (component is not { } present)
        {
            return [];
        }

        return present.Type == "Sequence" ? present.Children("pretokenizers").SelectMany(child => Flatten(child)) : [present];
    }

    private static WordSplitter? CreateStage(JsonComponent stage)
    {
        switch (stage.Type)
        {
            case "ByteLevel":
                Gpt2Scanner? words = stage.Bool("use_regex", true) ? new Gpt2Scanner() : null;
                return stage.Bool("add_prefix_space", true) ? new PrefixSpaceSplitter(words) : words;
            case "Split":
                return CreateSplit(stage);
            case "Metaspace":
                return CreateMetaspace(stage);
            case "Digits":
                return new PatternSplitter(
                    CodePointPattern.FromRegex(stage.Bool("individual_digits", false) ? @"\p{N}" : @"\p{N}+"), PieceBehavior.Isolated);
            case "Punctuation":
                return new PatternSplitter(
                    CodePointPattern.FromSet(NormalizationTables.Instance.Punctuation), ReadBehavior(stage, "Isolated"));
            case "BertPreTokenizer":
                return new SequenceSplitter(
                [
                    new PatternSplitter(CodePointPattern.FromRegex(@"\s"), PieceBehavior.Removed),
                    new PatternSplitter(CodePointPattern.FromSet(NormalizationTables.Instance.Punctuation), PieceBehavior.Isolated),
                ]);
            case "CharDelimiterSplit":
                return new PatternSplitter(CodePointPattern.FromLiteral(stage.RequiredString("delimiter")), PieceBehavior.Removed);
            case "Whitespace":
                return new PatternSplitter(CodePointPattern.FromRegex(WordsAndSymbols), PieceBehavior.Removed, invert: true);
            case "WhitespaceSplit":
                return new PatternSplitter(CodePointPattern.FromRegex(@"\s"), PieceBehavior.Removed);
            default:
                throw stage.Unsupported(TextCodes.PreTokenizerUnsupported, $"a pre-tokenizer of type '{stage.Type}'");
        }
    }

    private static WordSplitter CreateSplit(JsonComponent stage)
    {
        PieceBehavior behavior = ReadBehavior(stage, null);
        bool invert = stage.Bool("invert", false);
        JsonComponent pattern = stage.Child("pattern") ?? throw stage.Malformed($"'{stage.Place}' has no pattern");
        if (pattern.String("String") is { } literal)
        {
            return new PatternSplitter(CodePointPattern.FromLiteral(literal), behavior, invert);
        }

        string expression = pattern.RequiredString("Regex");

        // The scanners' matches cover the whole text, so these two ways to say "the matches are the pieces" are one.
        bool matchesArePieces = behavior == PieceBehavior.Isolated || (behavior == PieceBehavior.Removed && invert);
        if (matchesArePieces && KnownScanner(expression) is { } scanner)
        {
            return scanner;
        }

        return new PatternSplitter(Parse(stage, expression), behavior, invert);
    }

    private static WordScanner? KnownScanner(string expression) => expression switch
    {
        Gpt2Scanner.Pattern => new Gpt2Scanner(),
        Cl100kScanner.ThreeDigitPattern => new Cl100kScanner(3),
        Cl100kScanner.OneDigitPattern => new Cl100kScanner(1),
        _ => null,
    };

    private static CodePointPattern Parse(JsonComponent stage, string expression)
    {
        try
        {
            return CodePointPattern.FromRegex(expression);
        }
        catch (PatternException exception)
        {
            throw new ZqfpException(TextCodes.PreTokenizerUnsupported,
                $"The tokenizer '{stage.File.Name}' has a pattern at '{stage.Place}' that cannot be translated exactly: "
                + $"it has {exception.Message}. Give pre-tokenized data instead.", stage.File.Path, exception);
        }
    }

    private static MetaspaceSplitter CreateMetaspace(JsonComponent stage)
    {
        string replacement = stage.String("replacement") ?? "\u2581";
        if (replacement.Length != 1)
        {
            throw stage.Malformed($"the replacement of '{stage.Place}' should be one character");
        }

        string scheme = stage.String("prepend_scheme") ?? (stage.Bool("add_prefix_space", true) ? "always" : "never");
        PrependScheme prepend = scheme switch
        {
            "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            "never" => PrependScheme.Never,
            _ => throw stage.Unsupported(TextCodes.PreTokenizerUnsupported, $"the prepend scheme '{scheme}'"),
        };
        return new MetaspaceSplitter(replacement[0], prepend, stage.Bool("split", true));
    }

    private static PieceBehavior ReadBehavior(JsonComponent stage, string? absent)
    {
        string name = stage.String("behavior") ?? absent ?? stage.RequiredString("behavior");
        return name switch
        {
            "Removed" => PieceBehavior.Removed,
            "Isolated" => PieceBehavior.Isolated,
            "MergedWithPrevious" => PieceBehavior.MergedWithPrevious,
            "MergedWithNext" => PieceBehavior.MergedWithNext,
            "Contiguous" => PieceBehavior.Contiguous,
            _ => throw stage.Unsupported(TextCodes.PreTokenizerUnsupported, $"the split behavior '{name}'"),
        };
    }
}
