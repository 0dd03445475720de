using System.Runtime.InteropServices;
using System.Text.Json;

namespace Zqfp.Evaluation.Tests;

/// <summary>
/// Every perplexity of the reference data, computed there by PyTorch in float32, within 0.05 % over the same tokens.
/// </summary>
/// <remarks>Some take minutes and are run by <c>ZQFP_LONG_TESTS=1</c>.</remarks>
public sealed class ReferencePerplexityTests : IDisposable
{
    private const string Golden = "golden/perplexity.json";
    private const double Tolerance = 5e-4;

    /// <summary>The reference's stories15m had weights rounded to float16: with them the perplexities are equal on any text.</summary>
    private const double SameWeightsTolerance = 1e-5;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [ReferenceTheory(Golden, "models/tinystories-llama-3.7m")]
    [InlineData(512)]
    [InlineData(256)]
    public void Of_the_sample_on_stories(int window)
    {
        EvaluationResult result = Evaluate("tinystories-llama-3.7m/dynamo-fp32", "text/tinystories-evaluation.txt",
            "tinystories-llama-3.7m/tokenizer.json", window);
        Compare(result, "tinystories-llama-3.7m", $"tinystories-evaluation.txt@{window}");
    }

    [LongReferenceFact(Golden, "models/tinystories-llama-3.7m", "text")]
    public void Of_the_sample_on_wikitext()
    {
        EvaluationResult result = Evaluate("tinystories-llama-3.7m/dynamo-fp32", "text/wikitext2-test.gptq-join.txt",
            "tinystories-llama-3.7m/tokenizer.json", 512);
        Compare(result, "tinystories-llama-3.7m", "wikitext2-test.gptq-join.txt@512");
    }

    [LongReferenceFact(Golden, "models/stories15m", "text")]
    public void Of_stories15m_on_wikitext()
    {
        EvaluationResult result = Evaluate(RoundedStories(), "text/wikitext2-test.gptq-join.txt", "stories15m/tokenizer.model",
            256, windows: 200);
        Compare(result, "stories15m", "wikitext2-test.gptq-join.txt@256 first 200 windows (sentencepiece, no bos)", SameWeightsTolerance);
    }

    [LongReferenceFact(Golden, "models/stories15m")]
    public void Of_stories15m_on_held_out_tokens()
    {
        EvaluationResult result = Evaluate(RoundedStories(), "golden/held_tokens_llama32k.i16", tokenizer: null, 256, windows: 512);
        Compare(result, "stories15m", "held_tokens_llama32k.i16@256 first 512 windows", SameWeightsTolerance);
    }

    [LongReferenceFact(Golden, "models/opt-tiny-32m")]
    public void Of_opt_tiny_on_held_out_tokens()
    {
        string path = Path.Combine(_folder, "held.i16");
        File.WriteAllBytes(
            path, File.ReadAllBytes(Repository.Reference("golden/held_tokens_llama32k.i16"))[(256 * 256 * 2)..(512 * 256 * 2)]);
        Compare(Evaluate("opt-tiny-32m/dynamo-fp16", path, tokenizer: null, 256), "opt-tiny-32m",
            "held_tokens_llama32k.i16@256, windows 256..511");
    }

    [ReferenceFact(Golden)]
    public void No_entry_is_left_out()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(Repository.Reference(Golden)));
        string[] entries = [.. golden.RootElement.EnumerateObject()
            .Where(model => model.Value.ValueKind == JsonValueKind.Object)
            .SelectMany(model => model.Value.EnumerateObject())
            .Select(entry => entry.Name)];
        Assert.Equal(6, entries.Length);
    }

    private string RoundedStories()
    {
        string path = Path.Combine(_folder, "model.onnx");
        string source = Repository.Reference("models/stories15m/dynamo-fp32/model.onnx");
        File.Copy(source, path);
        byte[] data = File.ReadAllBytes(source + ".data");
        Span<float> weights = MemoryMarshal.Cast<byte, float>(data.AsSpan());
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] = (float)(Half)weights[i];
        }

        File.WriteAllBytes(path + ".data", data);
        return path;
    }

    private static EvaluationResult Evaluate(string model, string text, string? tokenizer, int window, int windows = 0) => EvaluateJob.Run(
        new EvaluateOptions
        {
            ModelPath = Repository.Reference($"models/{model}/model.onnx"),
            TextPath = Repository.Reference(text),
            TokenizerPath = tokenizer is null ? null : Repository.Reference($"models/{tokenizer}"),
            Window = window,
            Windows = windows,
        },
        new SilentObserver(),
        CancellationToken.None);

    private static void Compare(EvaluationResult result, string model, string entry, double tolerance = Tolerance)
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(Repository.Reference(Golden)));
        JsonElement expected = golden.RootElement.GetProperty(model).GetProperty(entry);
        Assert.Equal(expected.GetProperty("windows").GetInt32(), result.Windows);
        Assert.InRange(result.Perplexity / expected.GetProperty("ppl").GetDouble(), 1 - tolerance, 1 + tolerance);
    }
}
