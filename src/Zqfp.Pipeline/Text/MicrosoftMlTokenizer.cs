using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;
using Zqfp.Pipeline.Text.PreTokenization;
using Zqfp.Pipeline.Text.Subwords;

namespace Zqfp.Pipeline.Text;

/// <summary>
/// Encodes byte-level BPE with Microsoft.ML.Tokenizers; compiled with <c>-p:TokenizersSource=nuget</c> alone. What the package does
/// otherwise than the reference implementations stays with our own tokenizer: SentencePiece models (equal scores merge from the
/// right, unknowns are not fused, rules of BPE models are not applied) and text beyond the basic plane (its patterns see UTF-16 units).
/// </summary>
internal sealed class MicrosoftMlTokenizer(Tokenizer own, BpeTokenizer package) : Tokenizer
{
    public override int VocabularySize => own.VocabularySize;

    public override int? BeginningOfSequenceId => own.BeginningOfSequenceId;

    public override int? EndOfSequenceId => own.EndOfSequenceId;

    public override string Decode(IEnumerable<int> ids) => own.Decode(ids);

    public override bool TryGetId(string token, out int id) => own.TryGetId(token, out id);

    public override string? TokenOf(int id) => own.TokenOf(id);

    /// <summary>What the package makes of a <c>tokenizer.json</c>; null where it does not have what the file asks for.</summary>
    internal static BpeTokenizer? Create(byte[] content, Tokenizer own)
    {
        using JsonDocument document = JsonDocument.Parse(content);
        JsonElement root = document.RootElement;
        JsonElement model = root.GetProperty("model");
        string? pattern = FindPattern(root);
        if (pattern is null || IsSet(root, "normalizer") || IsSet(model, "unk_token") || IsTrue(model, "ignore_merges")
            || !IsSet(model, "merges") || ReadAddedTokens(root, own) is not { } added)
        {
            return null;
        }

        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (JsonProperty token in model.GetProperty("vocab").EnumerateObject())
        {
            vocabulary[token.Name] = token.Value.GetInt32();
        }

        bool allBytes = Enumerable.Range(0, 256).All(value => vocabulary.ContainsKey(ByteAlphabet.Spell((byte)value).ToString()));
        return !allBytes ? null : BpeTokenizer.Create(new BpeOptions(vocabulary)
        {
            Merges = [.. model.GetProperty("merges").EnumerateArray().Select(ReadMerge)],
            ByteLevel = true,
            SpecialTokens = added,
            PreTokenizer = new RegexPreTokenizer(new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.Compiled), added),
        });
    }

    protected override void Encode(string text, List<int> ids)
    {
        bool beyondBasicPlane = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') >= 0;
        ids.AddRange(beyondBasicPlane ? own.EncodeToIds(text) : package.EncodeToIds(text));
    }

    /// <summary>The pattern of a byte-level pre-tokenizer that is nothing but one known pattern.</summary>
    private static string? FindPattern(JsonElement root)
    {
        if (!IsSet(root, "pre_tokenizer"))
        {
            return null;
        }

        JsonElement preTokenizer = root.GetProperty("pre_tokenizer");
        string? type = preTokenizer.GetProperty("type").GetString();
        if (type == "ByteLevel")
        {
            return IsTrue(preTokenizer, "add_prefix_space") || (preTokenizer.TryGetProperty("use_regex", out JsonElement useRegex) && !useRegex.GetBoolean())
                ? null
                : Gpt2Scanner.Pattern;
        }

        if (type != "Sequence" || preTokenizer.GetProperty("pretokenizers").GetArrayLength() != 2)
        {
            return null;
        }

        JsonElement split = preTokenizer.GetProperty("pretokenizers")[0];
        JsonElement bytes = preTokenizer.GetProperty("pretokenizers")[1];
        string? expression = split.TryGetProperty("pattern", out JsonElement pattern) && pattern.TryGetProperty("Regex", out JsonElement regex)
            ? regex.GetString()
            : null;
        return bytes.GetProperty("type").GetString() == "ByteLevel" && !IsTrue(bytes, "add_prefix_space")
            && expression is Cl100kScanner.ThreeDigitPattern or Cl100kScanner.OneDigitPattern
            ? expression
            : null;
    }

    /// <summary>Added tokens that are found as they are; null where one has rules the package lacks.</summary>
    private static Dictionary<string, int>? ReadAddedTokens(JsonElement root, Tokenizer own)
    {
        var added = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (JsonElement token in IsSet(root, "added_tokens") ? root.GetProperty("added_tokens").EnumerateArray() : [])
        {
            string content = token.GetProperty("content").GetString()!;
            if (IsTrue(token, "lstrip") || IsTrue(token, "rstrip") || IsTrue(token, "single_word")
                || content.Length == 0 || !own.TryGetId(content, out int id))
            {
                return null;
            }

            added[content] = id;
        }

        // The package takes the first that fits, not the longest.
        bool overlap = added.Keys.Any(one => added.Keys.Any(other => one != other && other.StartsWith(one, StringComparison.Ordinal)));
        return overlap ? null : added;
    }

    private static string ReadMerge(JsonElement merge) =>
        merge.ValueKind == JsonValueKind.String ? merge.GetString()! : $"{merge[0].GetString()} {merge[1].GetString()}";

    private static bool IsSet(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement member) && member.ValueKind != JsonValueKind.Null;

    private static bool IsTrue(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement member) && member.ValueKind == JsonValueKind.True;
}

public abstract partial class Tokenizer
{
    static partial void Substitute(byte[] content, bool isJson, ref Tokenizer tokenizer)
    {
        if (isJson && MicrosoftMlTokenizer.Create(content, tokenizer) is { } package)
        {
            tokenizer = new MicrosoftMlTokenizer(tokenizer, package);
        }
    }
}
