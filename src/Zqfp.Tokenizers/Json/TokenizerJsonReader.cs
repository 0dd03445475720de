using System.Text.Json;

namespace Zqfp.Tokenizers;

/// <summary>Reads a Hugging Face <c>tokenizer.json</c>.</summary>
internal static class TokenizerJsonReader
{
    // Beyond every real vocabulary; keeps a broken id from asking for gigabytes.
    private const int MostIds = 1 << 24;

    /// <exception cref="ZqfpException">ZQFP0102 to ZQFP0108, ZQFP0116.</exception>
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

        PostProcessing template = PostProcessing.Read(root.Child("post_processor"), ids);
        return new SubwordEngineParts
        {
            RawTokens = new AddedTokens(added.Where(token => !token.Normalized)),
            NormalizedTokens = new AddedTokens(added.Where(token => token.Normalized)),
            Normalizer = normalizer,
            Splitter = splitter,
            WordCutter = byteLevel ? null : PreTokenizerFactory.WordCutter(splitter, model, vocabulary),
            Model = CreateModel(model, vocabulary, byteLevel),
            Decoder = DecoderFactory.Create(root.Child("decoder"), spellings, added),
            Spellings = spellings,
            Ids = ids,
            Special = SequenceTokens.Find(root, template, ids),
        };
    }

    private static ISubwordModel CreateModel(JsonComponent model, Vocabulary vocabulary, bool byteLevel) => model.Type switch
    {
        "Unigram" or "WordPiece" when byteLevel =>
            throw model.Unsupported(TextCodes.ModelUnsupported, $"a model of type '{model.Type}' after the pre-tokenizer 'ByteLevel'"),
        "Unigram" => UnigramFactory.Create(model, vocabulary),
        "WordPiece" => WordPieceFactory.Create(model, vocabulary),
        _ => BpeFactory.Create(model, vocabulary, byteLevel),
    };

    private static List<AddedToken> ReadAddedTokens(JsonComponent root, Vocabulary vocabulary, TextNormalizer? normalizer)
    {
        var tokens = new List<AddedToken>();
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        int next = vocabulary.Size;
        foreach (JsonComponent token in root.Children("added_tokens"))
        {
            int id = token.RequiredInt("id");
            if (id is < 0 or >= MostIds)
            {
                throw token.Malformed($"the id {id} of '{token.Place}' is out of range");
            }

            string content = token.RequiredString("content");
            bool normalized = token.Bool("normalized", !token.Bool("special", false));

            // The reference numbers tokens itself: one that the model has as well keeps the model's id, the others follow the vocabulary in
            // their order, which is what the file says unless it was edited.
            if (!ids.TryGetValue(content, out id) && !vocabulary.Ids.TryGetValue(content, out id))
            {
                id = next;
            }

            ids[content] = id;
            next = Math.Max(next, id + 1);
            tokens.Add(new AddedToken(id, content)
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
