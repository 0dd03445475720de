using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace Zqfp.Tokenizers.Tests;

/// <summary>The members of the base class behave as in the package's own tokenizers, where both read the same vocabulary.</summary>
public class MicrosoftTokenizerTests
{
    private const string Gpt2 = "tokenizers/gpt2/tokenizer.json";
    private const string Llama = "models/stories15m/tokenizer.model";
    private const string Text = "Once upon a time, there was a café. It wasn't open in 1999!\n\nWhy?  Nobody knows";

    [Fact]
    public void Byte_level_merges_of_a_few_words() =>
        Compare(Theirs(JsonSerializer.SerializeToUtf8Bytes(TinyTokenizers.ByteLevel())), TinyTokenizers.Load(TinyTokenizers.ByteLevel()),
            "hello he'll  hell o\nhello");

    [ReferenceFact(Gpt2)]
    public void Byte_level_merges_of_gpt2() => Compare(
        Theirs(File.ReadAllBytes(Repository.Reference(Gpt2))),
        PretrainedTokenizer.Load(Repository.Reference(Gpt2)),
        Text.Replace('é', 'e'));

    [ReferenceFact(Llama)]
    public void SentencePiece_of_llama()
    {
        using FileStream model = File.OpenRead(Repository.Reference(Llama));
        Compare(
            LlamaTokenizer.Create(model, addBeginOfSentence: false, addEndOfSentence: false),
            PretrainedTokenizer.Load(Repository.Reference(Llama)),
            Text);
    }

    private static BpeTokenizer Theirs(byte[] tokenizerJson)
    {
        using JsonDocument json = JsonDocument.Parse(tokenizerJson);
        JsonElement model = json.RootElement.GetProperty("model");
        var options = new BpeOptions(
            model.GetProperty("vocab").EnumerateObject().Select(entry => KeyValuePair.Create(entry.Name, entry.Value.GetInt32())))
        {
            Merges = [.. model.GetProperty("merges").EnumerateArray().Select(merge =>
                merge.ValueKind == JsonValueKind.Array ? $"{merge[0].GetString()} {merge[1].GetString()}" : merge.GetString()!)],
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(new Regex(Gpt2Scanner.Pattern), specialTokens: null),
        };
        return BpeTokenizer.Create(options);
    }

    private static void Compare(Tokenizer theirs, Tokenizer ours, string text)
    {
        Assert.Equal(theirs.EncodeToTokens(text, out string? theirText), ours.EncodeToTokens(text, out string? ourText));
        Assert.Equal(theirText, ourText);
        Assert.Equal(theirs.EncodeToIds(text), ours.EncodeToIds(text));
        Assert.Equal(theirs.CountTokens(text), ours.CountTokens(text));
        Assert.Equal(theirs.Decode(theirs.EncodeToIds(text)), ours.Decode(ours.EncodeToIds(text)));
        Assert.Equal(theirs.PreTokenizer?.PreTokenize(text), ours.PreTokenizer?.PreTokenize(text));
        for (int most = 1; most <= theirs.CountTokens(text) + 1; most++)
        {
            Assert.Equal(
                (theirs.GetIndexByTokenCount(text, most, out string? normalized, out int count), normalized, count),
                (ours.GetIndexByTokenCount(text, most, out normalized, out count), normalized, count));
            Assert.Equal(
                (theirs.GetIndexByTokenCountFromEnd(text, most, out normalized, out count), normalized, count),
                (ours.GetIndexByTokenCountFromEnd(text, most, out normalized, out count), normalized, count));
            Assert.Equal(
                theirs.EncodeToIds(text, most, out string? theirNormalized, out int theirConsumed),
                ours.EncodeToIds(text, most, out normalized, out int consumed));
            Assert.Equal((theirNormalized, theirConsumed), (normalized, consumed));
        }
    }
}
