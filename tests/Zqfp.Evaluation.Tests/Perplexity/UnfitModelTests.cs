using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Evaluation.Tests;

/// <summary>
/// Models that cannot be measured, or not against each other, are refused by their own codes before ONNX Runtime sees them.
/// </summary>
public sealed class UnfitModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("evaluate")]
    [InlineData("evaluate against")]
    [InlineData("gate")]
    [InlineData("gate against")]
    [InlineData("verify")]
    public void A_data_file_that_is_cut_off_is_ZQFP1002_whoever_reads_it(string job)
    {
        string cut = Path.Combine(_folder, "model.onnx");
        File.Copy(SampleModel.Model, cut);
        byte[] data = File.ReadAllBytes(SampleModel.Model + ".data");
        File.WriteAllBytes(cut + ".data", data[..(data.Length / 2)]);
        ZqfpException error = job switch
        {
            "evaluate" => Evaluate(cut, null),
            "evaluate against" => Evaluate(SampleModel.Model, cut),
            "gate" => Gate(cut, SampleModel.Model),
            "gate against" => Gate(SampleModel.Model, cut),
            _ => Error(() => VerifyJob.Run(new VerifyOptions { ReferencePath = SampleModel.Model, ModelPath = cut },
                new SilentObserver(), CancellationToken.None)),
        };

        Assert.Equal(("ZQFP1002", cut), (error.Code, error.File));
        Assert.Contains("truncated", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Models_of_other_tokens_are_not_compared_also_where_the_file_does_not_say_how_many_there_are(bool says)
    {
        string tiny = TinyDecoder.Write(_folder);
        if (!says)
        {
            ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(tiny));
            model.Graph.Output.Single().Type.TensorType.Shape.Dim[^1] = new TensorShapeProto.Types.Dimension { DimParam = "vocabulary" };
            File.WriteAllBytes(tiny, model.ToByteArray());
        }

        Assert.Equal("ZQFP3005", Evaluate(SampleModel.Model, tiny).Code);
        Assert.Equal("ZQFP3005", Gate(SampleModel.MarkQuantized(Path.Combine(_folder, "marked")), tiny, divergence: true).Code);
        if (says)
        {
            Assert.Equal("ZQFP3005", Evaluate(tiny, SampleModel.Model).Code);
            Assert.Equal("ZQFP3005", Gate(tiny, SampleModel.Model).Code);
        }
    }

    [Fact]
    public void Models_that_take_windows_of_one_length_only_are_compared_at_that_length()
    {
        string tiny = TinyDecoder.Write(_folder);
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(tiny));
        model.Graph.Input.Single().Type.TensorType.Shape.Dim[1] = new TensorShapeProto.Types.Dimension { DimValue = 32 };
        File.WriteAllBytes(tiny, model.ToByteArray());
        var options = new EvaluateOptions
        {
            ModelPath = tiny,
            AgainstPath = tiny,
            TextPath = TinyDecoder.WriteTokens(_folder, 64),
            Window = 32,
            Windows = 2,
        };

        Assert.Equal(0, EvaluateJob.Run(options, new SilentObserver(), CancellationToken.None).Against!.PerplexityIncrease);
        Assert.True(VerifyJob.Run(new VerifyOptions { ReferencePath = tiny, ModelPath = tiny, Window = 32, Windows = 2 },
            new SilentObserver(), CancellationToken.None).Identical);
    }

    private static ZqfpException Evaluate(string model, string? against) => Error(() => EvaluateJob.Run(
        new EvaluateOptions
        {
            ModelPath = model,
            AgainstPath = against,
            TextPath = SampleModel.Evaluation,
            TokenizerPath = SampleModel.Tokenizer,
            Window = 32,
            Windows = 2,
        },
        new SilentObserver(),
        CancellationToken.None));

    private static ZqfpException Gate(string model, string floatModel, bool divergence = false) => Error(() => GateJob.Run(
        new GateOptions
        {
            ModelPath = model,
            FloatModelPath = floatModel,
            TextPath = SampleModel.Evaluation,
            TokenizerPath = SampleModel.Tokenizer,
            Window = 32,
            Windows = 2,
            Divergence = divergence,
        },
        new SilentObserver(),
        CancellationToken.None));

    private static ZqfpException Error(Func<object> job) => Assert.Throws<ZqfpException>(job);
}
