using System.Text.Json;

namespace Zqfp.Tokenizers.Tests;

/// <summary>The ids that Hugging Face tokenizers and SentencePiece give.</summary>
public class GoldenTokenizerTests
{
    private const string Golden = "golden/tokenizers.json";
    private const string TinyStories = "models/tinystories-llama-3.7m/tokenizer.json";
    private const string Llama = "models/stories15m/tokenizer.model";
    private const string Gpt2 = "tokenizers/gpt2/tokenizer.json";

    [ReferenceFact(Golden, TinyStories)]
    public void Gives_the_reference_ids_of_the_sample() => CompareWithGolden("tinystories-llama-3.7m", TinyStories);

    [ReferenceFact(Golden, Gpt2)]
    public void Gives_the_reference_ids_of_gpt2() => CompareWithGolden("gpt2", Gpt2);

    [ReferenceFact(Golden, Llama)]
    public void Gives_the_reference_ids_of_the_llama_sentencepiece_model() => CompareWithGolden("llama-sentencepiece", Llama);

    private static void CompareWithGolden(string name, string file)
    {
        PretrainedTokenizer tokenizer = PretrainedTokenizer.Load(Repository.Reference(file));
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(Repository.Reference(Golden)));
        int compared = 0;
        foreach (JsonElement example in golden.RootElement.GetProperty(name).EnumerateArray())
        {
            string text = example.GetProperty("text").GetString()!;
            int[] expected = [.. example.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            Assert.Equal(expected, tokenizer.EncodeToIds(text));
            Assert.Equal(expected, tokenizer.EncodeToIds(text.AsSpan()));
            Assert.Equal(expected.Length, tokenizer.CountTokens(text));
            Assert.Equal(text, tokenizer.Decode(expected));
            compared++;
        }

        Assert.True(compared >= 18, $"Only {compared} examples were compared.");
    }
}
