using Zqfp.CudaOps;

namespace Zqfp.Evaluation.Tests;

public sealed class BenchJobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Times_a_prompt_and_generation(bool isCached)
    {
        BenchResult result = Run(new BenchOptions
        {
            ModelPath = TinyDecoder.Write(_folder, isCached: isCached),
            Prompt = 12,
            Tokens = 5,
            Rounds = 2,
            Threads = 1,
        });
        Assert.Equal(
            (isCached, 12, 5, 2, 1, "cpu"),
            (result.HasCache, result.PromptTokens, result.GeneratedTokens, result.Rounds, result.Threads, result.Device));
        Assert.True(result.PromptMilliseconds > 0 && result.MillisecondsPerToken > 0 && result.LoadSeconds > 0);
        Assert.Equal(1000 / result.MillisecondsPerToken, result.TokensPerSecond);
        Assert.NotEmpty(result.Processor);
        Assert.Null(result.Gpu);
    }

    /// <summary>One model as two exporters wrote it: with and without a cache.</summary>
    [ReferenceFact("models/tinystories-llama-3.7m/dynamo-fp32/model.onnx", "models/tinystories-llama-3.7m/genai-fp32/model.onnx")]
    public void A_cache_gives_the_tokens_that_the_whole_context_gives()
    {
        int[] whole = Generate(Repository.Reference("models/tinystories-llama-3.7m/dynamo-fp32/model.onnx"), hasCache: false);
        Assert.Equal(whole, Generate(Repository.Reference("models/tinystories-llama-3.7m/genai-fp32/model.onnx"), hasCache: true));
        Assert.True(whole.Distinct().Count() > 3);
    }

    [ReferenceFact("models/tinystories-llama-3.7m/kv-fp16/model.onnx")]
    public void A_float16_cache_is_gone_on_with()
    {
        string model = Repository.Reference("models/tinystories-llama-3.7m/kv-fp16/model.onnx");
        Assert.True(Run(new BenchOptions { ModelPath = model, Prompt = 20, Tokens = 4, Rounds = 1 }).HasCache);
    }

    [Fact]
    public void Where_there_is_no_GPU_the_processor_is_what_is_there()
    {
        if (CudaContext.IsAvailable)
        {
            return;
        }

        BenchResult result = Run(new BenchOptions
        {
            ModelPath = TinyDecoder.Write(_folder),
            Prompt = 4,
            Tokens = 1,
            Rounds = 1,
            Device = ZqfpDevice.Auto,
        });
        Assert.Equal("cpu", result.Device);
    }

    private static int[] Generate(string model, bool hasCache)
    {
        var facts = ModelFacts.ReadForGeneration(model);
        using var session = ModelSession.Open(facts, new SessionSettings(1), ZqfpDevice.Cpu);
        using var run = new CachedRun(facts, session, onGpu: false);
        Assert.Equal(hasCache, run.HasCache);
        run.Begin([3, 141, 59, 26, 535, 897, 93, 238], CancellationToken.None);
        List<int> tokens = [7];
        for (int i = 0; i < 12; i++)
        {
            tokens.Add(run.Next(tokens[^1], CancellationToken.None));
        }

        return [.. tokens];
    }

    private static BenchResult Run(BenchOptions options) => BenchJob.Run(options, new SilentObserver(), CancellationToken.None);
}
