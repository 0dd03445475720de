using Zqfp.Tokenizers;

namespace Zqfp.Evaluation.Tests;

/// <summary>Reference perplexities are comparable over the same tokens only.</summary>
public class ReferenceTokenCountTests
{
    private const string TinyStories = "models/tinystories-llama-3.7m/tokenizer.json";
    private const string Llama = "models/stories15m/tokenizer.model";

    [ReferenceTheory(TinyStories, Llama, "text/tinystories-evaluation.txt", "text/wikitext2-test.gptq-join.txt")]
    [InlineData(TinyStories, 2048, "text/tinystories-evaluation.txt", 121041)]
    [InlineData(TinyStories, 2048, "text/wikitext2-test.gptq-join.txt", 575177)]
    [InlineData(Llama, 32000, "text/wikitext2-test.gptq-join.txt", 341468)]
    public void Gives_as_many_tokens_as_the_reference_perplexities_were_computed_over(
        string tokenizer, int vocabulary, string text, int tokens)
    {
        TokenStream stream = TextSource.Load(
            new TextSourceOptions { Path = Repository.Reference(text), ModelVocabularySize = vocabulary },
            PretrainedTokenizer.Load(Repository.Reference(tokenizer)));
        Assert.Equal(tokens, stream.Ids.Length);
    }
}
