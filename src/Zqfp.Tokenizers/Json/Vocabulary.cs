using System.Text.Json;

namespace Zqfp.Tokenizers;

/// <summary>The model's tokens by spelling.</summary>
internal sealed class Vocabulary
{
    private Vocabulary(Dictionary<string, int> ids, int size)
    {
        Ids = ids;
        Size = size;
    }

    /// <summary>Number of entries.</summary>
    public int Size { get; }

    public Dictionary<string, int> Ids { get; }

    /// <summary>Whether no token has a space mark (U+2581) after another character: then none crosses from word to word.</summary>
    public bool CutsAtSpaceMarks => Ids.ContainsKey("\u2581")
        && Ids.Keys.All(token => token.AsSpan().TrimStart('\u2581').IndexOf('\u2581') < 0);

    /// <summary>Reads <c>model.vocab</c>: an object of ids by token, or an array of tokens with their scores.</summary>
    /// <exception cref="ZqfpException">ZQFP0106.</exception>
    public static Vocabulary Read(JsonComponent model, int mostIds)
    {
        if (model.Type == "Unigram")
        {
            return ReadScored(model);
        }

        if (!model.TryGet("vocab", out JsonElement entries) || entries.ValueKind != JsonValueKind.Object)
        {
            throw model.Malformed("'model.vocab' should be an object of ids by token");
        }

        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (JsonProperty entry in entries.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out int id) || id < 0 || id >= mostIds)
            {
                throw model.Malformed($"the id of token '{entry.Name}' in 'model.vocab' is no integer from 0 to {mostIds - 1}");
            }

            ids[entry.Name] = id;
        }

        return ids.Count > 0 ? new Vocabulary(ids, ids.Count) : throw model.Malformed("'model.vocab' is empty");
    }

    private static Vocabulary ReadScored(JsonComponent model)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        int next = 0;
        foreach (JsonElement entry in model.Elements("vocab"))
        {
            bool isPair = entry.ValueKind == JsonValueKind.Array && entry.GetArrayLength() == 2
                && entry[0].ValueKind == JsonValueKind.String && entry[1].ValueKind == JsonValueKind.Number;
            if (!isPair)
            {
                throw model.Malformed($"entry {next} of 'model.vocab' is not a token with its score: {entry.GetRawText()}");
            }

            // Of equal tokens the last one counts, as in the reference implementation.
            ids[entry[0].GetString()!] = next++;
        }

        return next > 0 ? new Vocabulary(ids, next) : throw model.Malformed("'model.vocab' is empty");
    }

    /// <summary>Spelling by id of these tokens and the added ones, which win.</summary>
    public string?[] Spellings(IReadOnlyCollection<AddedToken> added)
    {
        var spellings = new string?[1 + Math.Max(Ids.Values.Max(), added.Count == 0 ? -1 : added.Max(token => token.Id))];
        foreach ((string token, int id) in Ids)
        {
            spellings[id] = token;
        }

        foreach (AddedToken token in added)
        {
            spellings[token.Id] = token.Content;
        }

        return spellings;
    }
}
