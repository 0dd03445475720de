using System.Text.Json;

namespace Zqfp.Tokenizers;

/// <summary>Makes the subword model of <c>model</c>, type <c>BPE</c>.</summary>
internal static class BpeFactory
{
    /// <exception cref="ZqfpException">ZQFP0103 where the model is of another kind, ZQFP0106 where its merges are broken.</exception>
    public static ISubwordModel Create(JsonComponent model, Vocabulary vocabulary, bool byteLevel)
    {
        // Files written before the type was recorded are BPE when they have merges.
        bool isBpe = model.Type is "BPE" || (model.Type.Length == 0 && model.TryGet("merges", out _));
        if (!isBpe)
        {
            throw model.Unsupported(TextCodes.ModelUnsupported, $"a model of type '{model.Type}'");
        }

        RefuseAffixes(model, byteLevel);
        string suffix = model.String("end_of_word_suffix") ?? string.Empty;
        var merges = new MergeTable(ReadMerges(model, vocabulary.Ids));
        int? unknown = FindUnknown(model, vocabulary.Ids);
        Dictionary<string, int>? wholeWords = model.Bool("ignore_merges", false) ? vocabulary.Ids : null;
        return byteLevel
            ? new ByteLevelBpeModel(ByteIds(vocabulary.Ids, string.Empty), ByteIds(vocabulary.Ids, suffix), merges, unknown, wholeWords)
            : new CharacterBpeModel(new CharacterSymbols(vocabulary.Ids)
            {
                UnknownId = unknown,
                FuseUnknown = model.Bool("fuse_unk", false),
                EndOfWordSuffix = suffix,
                BytePieces = model.Bool("byte_fallback", false) ? CharacterSymbols.FindBytePieces(vocabulary.Ids) : null,
            }, merges, wholeWords);
    }

    private static void RefuseAffixes(JsonComponent model, bool byteLevel)
    {
        if (model.String("continuing_subword_prefix") is { Length: > 0 } prefix)
        {
            throw model.Unsupported(TextCodes.ModelUnsupported, $"BPE with continuing_subword_prefix '{prefix}'");
        }

        if (!byteLevel && model.String("end_of_word_suffix") is { Length: > 0 } && model.Bool("byte_fallback", false))
        {
            throw model.Unsupported(TextCodes.ModelUnsupported, "BPE with end_of_word_suffix and byte fallback");
        }

        if (model.TryGet("dropout", out JsonElement dropout) && dropout.ValueKind == JsonValueKind.Number && dropout.GetDouble() > 0)
        {
            throw model.Unsupported(TextCodes.ModelUnsupported, $"BPE with dropout {dropout.GetRawText()}, which makes the ids random");
        }
    }

    private static int? FindUnknown(JsonComponent model, Dictionary<string, int> ids)
    {
        string? token = model.String("unk_token");
        if (token is null)
        {
            return null;
        }

        return ids.TryGetValue(token, out int id) ? id : throw model.Malformed($"the unknown token '{token}' is not in the vocabulary");
    }

    private static int[] ByteIds(Dictionary<string, int> ids, string suffix)
    {
        var byteIds = new int[256];
        for (int value = 0; value < 256; value++)
        {
            byteIds[value] = ids.TryGetValue(ByteAlphabet.Spell((byte)value) + suffix, out int id) ? id : -1;
        }

        return byteIds;
    }

    private static List<Merge> ReadMerges(JsonComponent model, Dictionary<string, int> ids)
    {
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new List<Merge>();
        foreach (JsonElement element in model.Elements("merges"))
        {
            (string left, string right) = ReadPair(model, element, merges.Count);
            merges.Add(new Merge(Id(left), Id(right), merges.Count, Id(left + right)));
        }

        return merges;

        int Id(string token) => lookup.TryGetValue(token, out int id)
            ? id
            : throw model.Malformed($"merge {merges.Count} speaks of the token '{token}', which is not in the vocabulary");
    }

    /// <summary>A pair is written "left right" in older files and ["left", "right"] in newer ones.</summary>
    private static (string Left, string Right) ReadPair(JsonComponent model, JsonElement element, int index)
    {
        if (element.ValueKind == JsonValueKind.String)
        {
            string[] parts = element.GetString()!.Split(' ');
            if (parts.Length == 2)
            {
                return (parts[0], parts[1]);
            }
        }
        else if (element.ValueKind == JsonValueKind.Array && element.GetArrayLength() == 2
            && element[0].ValueKind == JsonValueKind.String && element[1].ValueKind == JsonValueKind.String)
        {
            return (element[0].GetString()!, element[1].GetString()!);
        }

        throw model.Malformed($"merge {index} is not a pair of tokens: {element.GetRawText()}");
    }
}
