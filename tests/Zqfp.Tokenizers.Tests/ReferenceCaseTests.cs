using System.Text.Json;

namespace Zqfp.Tokenizers.Tests;

/// <summary>
/// Small tokenizers that use what Oniguruma's patterns and the reference's stages can do, with the ids that Hugging Face
/// <c>tokenizers</c> gives.
/// </summary>
public class ReferenceCaseTests
{
    private static readonly string Folder = Repository.Path("tests/Zqfp.Tokenizers.Tests/Cases");

    [Theory]
    [InlineData("bloom", "patterns")]
    [InlineData("caret", "patterns")]
    [InlineData("dollar", "patterns")]
    [InlineData("intersect", "patterns")]
    [InlineData("posix", "patterns")]
    [InlineData("punctp", "patterns")]
    [InlineData("whitespace", "patterns")]
    [InlineData("word", "patterns")]
    [InlineData("xdig", "patterns")]
    [InlineData("added", "kinds")]
    [InlineData("deepseek", "kinds")]
    [InlineData("kimi", "kinds")]
    [InlineData("nfkc", "kinds")]
    [InlineData("qwen35", "kinds")]
    [InlineData("unigram", "kinds")]
    public void Gives_the_reference_ids(string name, string text)
    {
        PretrainedTokenizer tokenizer = PretrainedTokenizer.Load(Path.Combine(Folder, $"{name}.json"));
        int[] expected = JsonSerializer.Deserialize<int[]>(File.ReadAllBytes(Path.Combine(Folder, $"{name}.ids.json")))!;
        Assert.Equal(expected, tokenizer.EncodeToIds(File.ReadAllText(Path.Combine(Folder, $"text-{text}.txt"))));
    }
}
