using Zqfp.Numerics;
using Zqfp.Quantization;

namespace Zqfp.Evaluation.Tests;

public sealed class VerifyJobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private static VerifyOptions Options => new()
    {
        ReferencePath = SampleModel.Model,
        ModelPath = SampleModel.Model,
        Window = 32,
        Windows = 3,
    };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_model_is_identical_to_itself()
    {
        VerifyResult result = Run(Options);
        Assert.True(result.Identical);
        Assert.Equal((96L, 2048, 1.0, 0.0), (result.Tokens, result.Vocabulary, result.Top1Agreement, result.KullbackLeibler));
    }

    [Fact]
    public void A_quantized_model_differs_and_a_text_tells_how_much()
    {
        string output = Path.Combine(_folder, "model.onnx");
        QuantizeJob.Run(SampleModel.Quick(output) with { Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn } },
            new SilentObserver(), CancellationToken.None);
        VerifyResult result =
            Run(Options with { ModelPath = output, TextPath = SampleModel.Evaluation, TokenizerPath = SampleModel.Tokenizer });

        Assert.False(result.Identical);
        Assert.InRange(result.Top1Agreement, 0.7, 0.999);
        Assert.InRange(result.KullbackLeibler, 0.001, 0.5);
        Assert.True(result.MeanDifference < result.LargestDifference);

        // Evaluation sees the same divergence, but for the last row of each window, which predicts nothing.
        EvaluationResult evaluation = EvaluateJob.Run(
            new EvaluateOptions
            {
                ModelPath = output,
                AgainstPath = SampleModel.Model,
                TextPath = SampleModel.Evaluation,
                TokenizerPath = SampleModel.Tokenizer,
                Window = 32,
                Windows = 3,
                CacheFolder = _folder,
            },
            new SilentObserver(),
            CancellationToken.None);
        Assert.Equal(result.KullbackLeibler, evaluation.Against!.Divergence!.KullbackLeibler, 0.02);
        Assert.Equal(3, Directory.GetFiles(_folder, "*.evaluation").Length);
    }

    [ReferenceTheory("models/tinystories-llama-3.7m")]
    [InlineData("kv-fp16", 0.2)]
    [InlineData("genai-fp32", 1e-3)]
    public void Other_exports_of_a_model_give_its_logits(string export, double largest)
    {
        VerifyResult result = Run(Options with { ModelPath = Repository.Reference($"models/tinystories-llama-3.7m/{export}/model.onnx") });
        Assert.InRange(result.LargestDifference, 1e-7, largest);
        Assert.True(result.Top1Agreement > 0.95);
    }

    [Fact]
    public void The_seed_decides_the_tokens()
    {
        Assert.NotEqual(
            TokenWindows.Random(2048, 8, 2, seed: 1).SelectMany(window => window),
            TokenWindows.Random(2048, 8, 2, seed: 2).SelectMany(window => window));
        Assert.All(TokenWindows.Random(3, 100, 2, seed: 1).SelectMany(window => window), id => Assert.InRange(id, 0, 2));
    }

    [ReferenceFact("models/stories260k")]
    public void Models_of_other_vocabularies_are_refused() =>
        Assert.Equal("ZQFP3005",
            Assert.Throws<ZqfpException>(
                () => Run(Options with { ModelPath = Repository.Reference("models/stories260k/dynamo-fp32/model.onnx") })).Code);

    private static VerifyResult Run(VerifyOptions options) => VerifyJob.Run(options, new SilentObserver(), CancellationToken.None);
}
