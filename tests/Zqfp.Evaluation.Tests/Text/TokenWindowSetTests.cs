using System.Text.Json;

namespace Zqfp.Evaluation.Tests;

public sealed class TokenWindowSetTests : IDisposable
{
    private const int Length = 16;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Documents_in_a_named_field_are_the_text_that_their_separator_makes_of_them()
    {
        string[] documents = [.. Enumerable.Range(0, 30).Select(i => $"Once upon a time there were {i} little stories.")];
        string lines = Path.Combine(_folder, "stories.jsonl");
        File.WriteAllLines(lines, documents.Select(document => JsonSerializer.Serialize(new { title = "none", story = document })));
        string text = Path.Combine(_folder, "stories.txt");
        File.WriteAllText(text, string.Join(" -- ", documents));

        TokenWindowSet read = Load(lines, reading: new TextReading { JsonField = "story", DocumentSeparator = " -- " });
        Assert.Equal(Load(text).Windows, read.Windows);
    }

    [Fact]
    public void A_field_that_is_not_there_is_refused() =>
        Assert.Equal("ZQFP0110",
            Assert.Throws<ZqfpException>(
                () => Load(Lines("""{ "text": "Once" }"""), reading: new TextReading { JsonField = "story" })).Code);

    [Fact]
    public void A_seed_draws_other_windows_of_the_same_text_and_the_same_ones_again()
    {
        int[][] all = [.. Load(SampleModel.Evaluation).Windows];
        int[][] drawn = [.. Load(SampleModel.Evaluation, count: 20, seed: 7).Windows];
        Assert.Equal(20, drawn.Length);
        Assert.NotEqual(all[..20], drawn);
        Assert.Subset(new HashSet<string>(all.Select(Key)), new HashSet<string>(drawn.Select(Key)));
        Assert.Equal(drawn, Load(SampleModel.Evaluation, count: 20, seed: 7).Windows);
        Assert.NotEqual(drawn, Load(SampleModel.Evaluation, count: 20, seed: 8).Windows);
        Assert.Equal(all.Length, Load(SampleModel.Evaluation, seed: 7).Windows.Count);
    }

    private static string Key(int[] window) => string.Join(' ', window);

    private string Lines(params string[] lines)
    {
        string path = Path.Combine(_folder, "lines.jsonl");
        File.WriteAllLines(path, lines);
        return path;
    }

    private static TokenWindowSet Load(string path, int count = 0, TextReading? reading = null, int? seed = null) =>
        TokenWindowSet.Load(path, SampleModel.Tokenizer, Length, count, new ModelFacts(SampleModel.Model, "logits", 2048, null, false),
            reading, seed);
}
