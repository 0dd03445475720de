using System.Text.Json;
using Zqfp.Pipeline.Text;

namespace Zqfp.Tests.Text;

/// <summary>The ids that Hugging Face tokenizers and SentencePiece give.</summary>
public class GoldenTokenizerTests
{
    private const string Golden = "golden/tokenizers.json";
    private const string TinyStories = "models/tinystories-llama-3.7m/tokenizer.json";
    private const string Gpt2 = "tokenizers/gpt2/tokenizer.json";

    [ReferenceTheory(Golden, TinyStories, Gpt2)]
    [InlineData("tinystories-llama-3.7m", TinyStories)]
    [InlineData("gpt2", Gpt2)]
    public void Gives_the_ids_of_the_reference_implementation(string name, string file)
    {
        Tokenizer tokenizer = Tokenizer.Load(Repository.Reference(file));
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

    [ReferenceTheory(TinyStories, "text/tinystories-evaluation.txt", "text/wikitext2-test.gptq-join.txt")]
    [InlineData("text/tinystories-evaluation.txt", 121041)]
    [InlineData("text/wikitext2-test.gptq-join.txt", 575177)]
    public void Gives_as_many_tokens_as_the_reference_perplexities_were_computed_over(string file, int tokens)
    {
        Tokenizer tokenizer = Tokenizer.Load(Repository.Reference(TinyStories));
        Assert.Equal(tokens, tokenizer.CountTokens(File.ReadAllText(Repository.Reference(file))));
    }
}
