using System.Security.Cryptography;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Types and forms of weights that the sample does not have, through the whole pipeline.</summary>
public sealed class TinyDecoderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(DataType.Float, WeightForm.Plain)]
    [InlineData(DataType.Float16, WeightForm.Plain)]
    [InlineData(DataType.Bfloat16, WeightForm.Plain)]
    [InlineData(DataType.Float, WeightForm.CastFromBfloat16)]
    [InlineData(DataType.Float, WeightForm.Left)]
    [InlineData(DataType.Float, WeightForm.Int8)]
    [InlineData(DataType.Float, WeightForm.Int4)]
    internal void Four_layers_are_calibrated_and_with_a_correction_of_full_rank_nothing_is_lost(DataType type, WeightForm form)
    {
        string model = TinyDecoder.Write(_folder, type, form);
        QuantizeReport report =
            Run(Options(model) with { Activations = ActivationFormat.None, Quantization = new() { GroupSize = 16, Rank = 32 } });
        Assert.Equal(TinyDecoder.Layers, report.Layers.Select(layer => layer.Name));
        Assert.All(report.Layers, layer => Assert.NotNull(layer.OutputError));
        Assert.Equal(1, Perplexity(report.Output) / Perplexity(model), 1e-3);
    }

    [Theory]
    [InlineData(EmissionProfile.Custom)]
    [InlineData(EmissionProfile.Portable)]
    internal void A_bfloat16_model_is_bfloat16_afterwards_and_computes_as_the_same_weights_in_float(EmissionProfile profile)
    {
        QuantizeOptions options = Options(TinyDecoder.Write(_folder, DataType.Bfloat16)) with
        {
            Profiles = [profile],
            CalibrationPath = null,
            Quantization = new() { Method = QuantizationMethod.Rtn },
        };
        string narrow = Run(options).Output;
        double expected = Perplexity(narrow);
        string wide = TinyDecoder.Write(_folder, DataType.Float, WeightForm.CastFromBfloat16);
        QuantizeReport report = Run(options with { ModelPath = wide, OutputPath = Path.Combine(_folder, "wide.onnx") });
        Assert.Equal(1, Perplexity(report.Output) / expected, 1e-5);
    }

    [Fact]
    public void A_weight_that_two_layers_share_is_quantized_once()
    {
        QuantizeReport report = Run(Options(TinyDecoder.Write(_folder, form: WeightForm.Shared)));
        Assert.Equal([true, true, false, false], report.Layers.Select(layer => layer.OutputError is not null));
        Assert.Equal([true, true, false, false], report.Layers.Select(layer => layer.Activations is not null));
        Assert.Equal([null, null, "up0", "down0"], report.Layers.Select(layer => layer.SharesWeightOf));
        Assert.InRange(Perplexity(report.Output), 1, 1000);
    }

    [Fact]
    public void Ranges_of_activations_depend_on_no_threads_and_come_back_from_a_work_folder()
    {
        QuantizeOptions options = Options(TinyDecoder.Write(_folder)) with { WorkFolder = Path.Combine(_folder, "work"), Threads = 1 };
        ActivationRange?[] first = [.. Run(options).Layers.Select(layer => layer.Activations)];
        ActivationRange?[] kept = [.. Run(options).Layers.Select(layer => layer.Activations)];
        ActivationRange?[] parallel = [.. Run(options with { WorkFolder = null, Threads = 2 }).Layers.Select(layer => layer.Activations)];
        Assert.All(first,
            range =>
                Assert.True(range!.Largest >= range.TokenHigh && range.TokenHigh >= range.TokenMedian && range.TokenMedian > range.Rms));
        Assert.Equal(first, kept);
        Assert.Equal(first, parallel);
    }

    [Theory]
    [InlineData(LayerTarget.Layer, CalibrationSource.Quantized)]
    [InlineData(LayerTarget.Residual, CalibrationSource.Quantized)]
    [InlineData(LayerTarget.Residual, CalibrationSource.Float)]
    internal void A_float_target_gives_the_same_bytes_on_any_number_of_threads_and_after_a_resume(
        LayerTarget target, CalibrationSource source)
    {
        QuantizeOptions options = Options(TinyDecoder.Write(_folder)) with
        {
            LayerTarget = target,
            CalibrateOn = source,
            Rotation = QuantizeOptions.AutoRotation,
            Threads = 1,
        };
        string Hash(QuantizeOptions run) => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(Run(run).Output + ".data")));
        string expected = Hash(options);
        Assert.Equal(expected, Hash(options with { Threads = 2 }));
        Assert.Equal(expected, Hash(options with { Threads = 8 }));

        // Without its second half the work folder is that of a run that was stopped.
        QuantizeOptions resumed = options with { WorkFolder = Path.Combine(_folder, "work") };
        Run(resumed);
        FileInfo[] layers = [.. new DirectoryInfo(resumed.WorkFolder!).GetFiles().OrderBy(file => file.LastWriteTimeUtc)];
        Assert.Equal(TinyDecoder.Layers.Count, layers.Length);
        Array.ForEach(layers[2..], file => file.Delete());
        Assert.Equal(expected, Hash(resumed));
    }

    [Theory]
    [InlineData(QuantizeOptions.AutoRotation, new[] { 0, 0, 0, 0 })]
    [InlineData(32, new[] { 32, 16, 32, 16 })]
    public void A_shared_weight_has_one_basis(int rotation, int[] expected)
    {
        QuantizeOptions options = Options(TinyDecoder.Write(_folder, form: WeightForm.Shared)) with
        {
            Rotation = rotation,
            LayerTarget = LayerTarget.Residual,
        };
        double plain = Perplexity(Run(options with { Rotation = QuantizeOptions.NoRotation }).Output);
        QuantizeReport report = Run(options);
        Assert.Equal(expected, report.Layers.Select(layer => layer.Rotation));
        Assert.Equal(1, Perplexity(report.Output) / plain, 0.1);
    }

    [Fact]
    public void The_report_tells_which_layers_were_moved_to_the_target()
    {
        QuantizeReport report = Run(Options(TinyDecoder.Write(_folder)) with { LayerTarget = LayerTarget.Residual });
        Assert.All(report.Layers.Skip(1), layer => Assert.NotNull(layer.Ridge));
        Assert.All(Run(Options(report.Model)).Layers, layer => Assert.Null(layer.Ridge));
    }

    [Fact]
    public void One_window_alone_leaves_nothing_to_hold_out_and_the_weights_where_they_are()
    {
        QuantizeReport report = Run(Options(TinyDecoder.Write(_folder)) with
        {
            LayerTarget = LayerTarget.Residual,
            Rotation = QuantizeOptions.AutoRotation,
            Windows = 1,
        });
        Assert.All(report.Layers, layer => Assert.Equal((null, 0), (layer.Ridge, layer.Rotation)));
    }

    [Fact]
    public void What_a_layer_takes_is_told_in_parts()
    {
        LayerReport layer = Run(Options(TinyDecoder.Write(_folder))).Layers[0];
        Assert.Equal(32 * 48 * sizeof(float), layer.FloatBytes);
        Assert.Equal(new LayerBytes(Codes: 32 * 48 / 2, Scales: 48 * (sizeof(float) + 2), Correction: 2 * 2 * (32 + 48)), layer.Bytes);
    }

    [Fact]
    public void Logits_of_the_last_token_alone_are_ZQFP1008_and_nothing_is_written()
    {
        QuantizeOptions options = Options(TinyDecoder.Write(_folder, prunesHead: true));
        ZqfpException refused = Assert.Throws<ZqfpException>(() => Run(options));
        Assert.Equal("ZQFP1008", refused.Code);
        Assert.False(File.Exists(options.OutputPath));
        Assert.Equal("ZQFP1008", Assert.Throws<ZqfpException>(() => Perplexity(options.ModelPath)).Code);
    }

    private QuantizeOptions Options(string model) => new()
    {
        ModelPath = model,
        OutputPath = Path.Combine(_folder, "out.onnx"),
        CalibrationPath = TinyDecoder.WriteTokens(_folder, 4096),
        Window = 64,
        Windows = 32,
        Quantization = new QuantizationOptions { GroupSize = 16, Rank = 2 },
    };

    private double Perplexity(string model) => EvaluateJob.Run(
        new EvaluateOptions { ModelPath = model, TextPath = TinyDecoder.WriteTokens(_folder, 4096), Window = 64, Windows = 32 },
        new SilentObserver(),
        CancellationToken.None).Perplexity;

    private static QuantizeReport Run(QuantizeOptions options) => QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None);
}
