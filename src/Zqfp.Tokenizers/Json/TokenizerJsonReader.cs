using System.Text.Json;

namespace Zqfp.Tokenizers;

/// <summary>Reads a Hugging Face <c>tokenizer.json</c>.</summary>
internal static class TokenizerJsonReader
{
    // Beyond every real vocabulary; keeps a broken id from asking for gigabytes.
    private const int MostIds = 1 << 24;

    /// <exception cref="ZqfpException">ZQFP0102 to ZQFP0108.</exception>
    public static SubwordEngineParts Read(TokenizerFile file)
    {
        try
        {
            ReadOnlyMemory<byte> body = file.Content.AsMemory(file.Content.Length - file.Body.Length);
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 64 });
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("model", out _))
            {
                throw new ZqfpException(TextCodes.TokenizerFormatUnknown,
                    $"'{file.Name}' is JSON, but no tokenizer.json: it has no 'model'. Name the file that Hugging Face tokenizers saved.",
                    file.Path);
            }

            return Read(new JsonComponent(document.RootElement, file, string.Empty));
        }
        catch (InvalidOperationException exception)
        {
            // A string that is no Unicode (half a surrogate pair, invalid UTF-8) is found only when it is read.
            throw new ZqfpException(TextCodes.VocabularyBroken,
                $"The tokenizer '{file.Name}' is broken: a string in it is not valid Unicode. Fetch the file again.", file.Path, exception);
        }
        catch (JsonException exception)
        {
            throw new ZqfpException(TextCodes.TokenizerFormatUnknown,
                $"'{file.Name}' is not valid JSON (line {exception.LineNumber + 1}): {exception.Message}", file.Path, exception);
        }
    }

    private static SubwordEngineParts Read(JsonComponent root)
    {
        JsonComponent model = root.Child("model")!.Value;
        TextNormalizer? normalizer = NormalizerFactory.Create(root.Child("normalizer"));
        (WordSplitter? splitter, bool byteLevel) = PreTokenizerFactory.Create(root.Child("pre_tokenizer"));
        Vocabulary vocabulary = Vocabulary.Read(model, MostIds);
        List<AddedToken> added = ReadAddedTokens(root, vocabulary, normalizer);
        string?[] spellings = vocabulary.Spellings(added);
        Dictionary<string, int> ids = new(vocabulary.Ids, StringComparer.Ordinal);
        foreach (AddedToken token in added)
        {
            ids[token.Content] = token.Id;
        }

        (int? beginning, int? end) = SequenceTokens.Find(root, ids);
        return new SubwordEngineParts
        {
            RawTokens = new AddedTokens(added.Where(token => !token.Normalized)),
            NormalizedTokens = new AddedTokens(added.Where(token => token.Normalized)),
            Normalizer = normalizer,
            Splitter = splitter,
            WordCutter = byteLevel ? null : PreTokenizerFactory.WordCutter(splitter, model, vocabulary),
            Model = BpeFactory.Create(model, vocabulary, byteLevel),
            Decoder = DecoderFactory.Create(root.Child("decoder"), spellings, added),
            Spellings = spellings,
            Ids = ids,
            Special = new SpecialTokens { BeginningOfSentenceId = beginning, EndOfSentenceId = end },
        };
    }

    private static List<AddedToken> ReadAddedTokens(JsonComponent root, Vocabulary vocabulary, TextNormalizer? normalizer)
    {
        var tokens = new List<AddedToken>();
        foreach (JsonComponent token in root.Children("added_tokens"))
        {
            int id = token.RequiredInt("id");
            if (id is < 0 or >= MostIds)
            {
                throw token.Malformed($"the id {id} of '{token.Place}' is out of range");
            }

            string content = token.RequiredString("content");
            bool normalized = token.Bool("normalized", !token.Bool("special", false));

            // A token that the model has as well keeps the model's id.
            tokens.Add(new AddedToken(vocabulary.Ids.GetValueOrDefault(content, id), content)
            {
                Pattern = normalized && normalizer is not null ? normalizer.Normalize(content) : content,
                SingleWord = token.Bool("single_word", false),
                LeftStrip = token.Bool("lstrip", false),
                RightStrip = token.Bool("rstrip", false),
                Normalized = normalized,
            });
        }

        return tokens;
    }
}
