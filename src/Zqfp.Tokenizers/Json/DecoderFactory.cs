using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>Makes the decoder of <c>decoder</c>. All that the supported ones do to a token is known when they are made.</summary>
internal static class DecoderFactory
{
    // The reference's, token by token and in this order.
    private static readonly (string Spaced, string Joined)[] Cleanups =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"),
        (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    /// <exception cref="ZqfpException">ZQFP0108.</exception>
    public static TokenDecoder Create(JsonComponent? component, IReadOnlyList<string?> spellings, IEnumerable<AddedToken> added)
    {
        if (component is { Type: "WordPiece" } wordPiece)
        {
            return CreateWordPiece(wordPiece, spellings);
        }

        var rules = new Rules();
        if (component is { } decoder)
        {
            Read(decoder, rules);
        }

        byte[]?[] bytes = [.. spellings.Select(spelling => spelling is null ? null : rules.Apply(spelling))];
        foreach (AddedToken token in added)
        {
            // Added tokens stand for themselves, however the vocabulary spells the rest.
            bytes[token.Id] = Encoding.UTF8.GetBytes(token.Content);
        }

        return new TokenDecoder(bytes, rules.LeadingSpaces);
    }

    /// <summary>Tokens without the prefix begin words, before which goes a space unless they come first.</summary>
    private static TokenDecoder CreateWordPiece(JsonComponent decoder, IReadOnlyList<string?> spellings)
    {
        string prefix = decoder.String("prefix") ?? "##";
        bool cleans = decoder.Bool("cleanup", true);
        return new TokenDecoder(
            [.. spellings.Select(spelling =>
                Spell(spelling?.StartsWith(prefix, StringComparison.Ordinal) == true ? spelling[prefix.Length..] : $" {spelling}"))],
            leadingSpaces: 0,
            [.. spellings.Select(spelling => Spell(spelling ?? string.Empty))]);

        byte[] Spell(string token) => Encoding.UTF8.GetBytes(cleans
            ? Cleanups.Aggregate(token, (cleaned, entry) => cleaned.Replace(entry.Spaced, entry.Joined, StringComparison.Ordinal))
            : token);
    }

    private static void Read(JsonComponent decoder, Rules rules)
    {
        switch (decoder.Type)
        {
            case "Sequence":
                foreach (JsonComponent part in decoder.Children("decoders"))
                {
                    Read(part, rules);
                }

                break;
            case "ByteLevel":
                rules.ByteLevel = true;
                break;
            case "ByteFallback":
                rules.ByteFallback = true;
                break;
            case "Fuse":
                break;
            case "Replace" when decoder.Child("pattern")?.String("String") is { Length: > 0 } pattern:
                rules.Replacements.Add((pattern, decoder.RequiredString("content")));
                break;
            case "Strip" when decoder.String("content") == " " && decoder.RequiredInt("stop") == 0:
                rules.LeadingSpaces = decoder.RequiredInt("start");
                break;
            case "Metaspace":
                rules.Replacements.Add((decoder.String("replacement") ?? "\u2581", " "));
                bool prepends = decoder.String("prepend_scheme") is { } scheme ? scheme != "never" : decoder.Bool("add_prefix_space", true);
                rules.LeadingSpaces = prepends ? 1 : 0;
                break;
            default:
                throw decoder.Unsupported(TextCodes.DecoderUnsupported, $"a decoder of type '{decoder.Type}' with these settings");
        }
    }

    private sealed class Rules
    {
        public bool ByteLevel { get; set; }

        public bool ByteFallback { get; set; }

        public int LeadingSpaces { get; set; }

        public List<(string Pattern, string Content)> Replacements { get; } = [];

        public byte[] Apply(string spelling)
        {
            if (ByteLevel)
            {
                return ByteAlphabet.Read(spelling) ?? Encoding.UTF8.GetBytes(spelling);
            }

            if (ByteFallback && CharacterSymbols.TryReadByte(spelling, out byte value))
            {
                return [value];
            }

            foreach ((string pattern, string content) in Replacements)
            {
                spelling = spelling.Replace(pattern, content, StringComparison.Ordinal);
            }

            return Encoding.UTF8.GetBytes(spelling);
        }
    }
}
