using System.Text.Json;

namespace Zqfp.Tokenizers.Tests;

/// <summary>
/// Normalizers, models, post-processors and decoders over one hard text, with the ids that Hugging Face <c>tokenizers</c> gives.
/// </summary>
public class StageCaseTests
{
    private static readonly string Folder = Repository.Path("tests/Zqfp.Tokenizers.Tests/Cases");

    [Theory]
    [InlineData("bytes-nfc")]
    [InlineData("bytes-nfd")]
    [InlineData("bytes-nfkc")]
    [InlineData("bytes-nfkd")]
    [InlineData("bert-uncased")]
    [InlineData("bert-cased")]
    [InlineData("bert-raw")]
    [InlineData("clip")]
    [InlineData("suffix")]
    [InlineData("unigram-fallback")]
    [InlineData("unigram-xlm")]
    public void Gives_the_reference_ids(string name)
    {
        PretrainedTokenizer tokenizer = PretrainedTokenizer.Load(Path.Combine(Folder, $"{name}.json"));
        string text = File.ReadAllText(Path.Combine(Folder, "text-stages.txt"));
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, $"{name}.ids.json")));
        int[] ids = expected.RootElement.GetProperty("ids").Deserialize<int[]>()!;
        Assert.Equal(ids, tokenizer.EncodeToIds(text));
        Assert.Equal(ids, tokenizer.EncodeToTokens(text, out _).Select(token => token.Id));
        Assert.Equal(expected.RootElement.GetProperty("special").Deserialize<int[]>(), tokenizer.EncodeToIds(text, addSpecialTokens: true));
    }

    [Theory]
    [InlineData("bytes-nfkc")]
    [InlineData("bert-uncased")]
    [InlineData("bert-cased")]
    [InlineData("bert-raw")]
    [InlineData("clip")]
    [InlineData("unigram-xlm")]
    public void Decodes_as_the_reference(string name)
    {
        PretrainedTokenizer tokenizer = PretrainedTokenizer.Load(Path.Combine(Folder, $"{name}.json"));
        using JsonDocument expected = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, $"{name}.ids.json")));
        int[] ids = expected.RootElement.GetProperty("ids").Deserialize<int[]>()!;
        string decoded = expected.RootElement.GetProperty("decoded").GetString()!;
        Assert.Equal(decoded, tokenizer.Decode(ids));
        var destination = new char[decoded.Length];
        Assert.Equal(System.Buffers.OperationStatus.Done, tokenizer.Decode(ids, destination, out _, out int written));
        Assert.Equal(decoded, new string(destination, 0, written));
    }

    [Fact]
    public void Special_tokens_are_known_by_their_role()
    {
        PretrainedTokenizer bert = PretrainedTokenizer.Load(Path.Combine(Folder, "bert-cased.json"));
        Assert.Equal((2, 3), (bert.BeginningOfSentenceId, bert.EndOfSentenceId));
        PretrainedTokenizer clip = PretrainedTokenizer.Load(Path.Combine(Folder, "clip.json"));
        Assert.Equal((512, 513), (clip.BeginningOfSentenceId, clip.EndOfSentenceId));
    }
}
