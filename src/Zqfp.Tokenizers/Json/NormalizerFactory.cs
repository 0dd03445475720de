
namespace Zqfp.Tokenizers;

/// <summary>Makes the normalizer of <c>normalizer</c>.</summary>
internal static class NormalizerFactory
{
    /// <exception cref="ZqfpException">ZQFP0104.</exception>
    public static TextNormalizer? Create(JsonComponent? component)
    {
        if (component is not { } normalizer)
        {
            return null;
        }

        switch (normalizer.Type)
        {
            case "Sequence":
                TextNormalizer[] stages = [.. normalizer.Children("normalizers").Select(stage => Create(stage)!)];
                return stages.Length == 1 ? stages[0] : new SequenceNormalizer(stages);
            case "NFC":
                return new UnicodeNormalizer(compose: true);
            case "NFD":
                return new UnicodeNormalizer(compose: false);
            case "NFKC":
                return new UnicodeNormalizer(compose: true, compatibility: true);
            case "NFKD":
                return new UnicodeNormalizer(compose: false, compatibility: true);
            case "StripAccents":
                return new RemovingNormalizer(NormalizationTables.Instance.CombiningMarks);
            case "BertNormalizer":
                return CreateBert(normalizer);
            case "Precompiled":
                return CreatePrecompiled(normalizer);
            case "Prepend":
                return new PrependNormalizer(normalizer.RequiredString("prepend"));
            case "Replace":
                return CreateReplace(normalizer);
            case "Lowercase":
                return new LowercaseNormalizer();
            case "Strip":
                return new StripNormalizer(normalizer.Bool("strip_left", true), normalizer.Bool("strip_right", true));
            default:
                throw normalizer.Unsupported(TextCodes.NormalizerUnsupported, $"a normalizer of type '{normalizer.Type}'");
        }
    }

    private static BertNormalizer CreateBert(JsonComponent normalizer)
    {
        bool lowercase = normalizer.Bool("lowercase", true);
        return new BertNormalizer
        {
            Cleans = normalizer.Bool("clean_text", true),
            SeparatesHan = normalizer.Bool("handle_chinese_chars", true),
            StripsAccents = normalizer.Bool("strip_accents", lowercase),
            Lowercases = lowercase,
        };
    }

    private static PrecompiledNormalizer CreatePrecompiled(JsonComponent normalizer)
    {
        byte[] content;
        try
        {
            content = Convert.FromBase64String(normalizer.RequiredString("precompiled_charsmap"));
        }
        catch (FormatException)
        {
            content = [];
        }

        return CharsMap.TryRead(content, out CharsMap? rules)
            ? new PrecompiledNormalizer(rules)
            : throw normalizer.Malformed($"the table of '{normalizer.Place}' (precompiled_charsmap) is broken");
    }

    private static TextNormalizer CreateReplace(JsonComponent normalizer)
    {
        JsonComponent pattern = normalizer.Child("pattern") ?? throw normalizer.Malformed($"'{normalizer.Place}' has no pattern");
        string content = normalizer.RequiredString("content");
        if (pattern.String("String") is { } literal)
        {
            return literal.Length > 0
                ? new ReplaceNormalizer(literal, content)
                : throw normalizer.Malformed($"the pattern of '{normalizer.Place}' is empty");
        }

        string expression = pattern.RequiredString("Regex");
        try
        {
            return new PatternReplaceNormalizer(CodePointPattern.FromRegex(expression), content);
        }
        catch (PatternException exception)
        {
            throw new ZqfpException(TextCodes.NormalizerUnsupported,
                $"The tokenizer '{normalizer.File.Name}' has a pattern at '{normalizer.Place}' that cannot be translated exactly: "
                + $"it has {exception.Message}. Give pre-tokenized data instead.", normalizer.File.Path, exception);
        }
    }
}
