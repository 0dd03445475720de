using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Quantization.Tests;

public sealed class LayerSelectionTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private readonly QuantizeOptions _options;

    public LayerSelectionTests() => _options = new QuantizeOptions
    {
        ModelPath = TinyDecoder.Write(_folder),
        OutputPath = Path.Combine(_folder, "out.onnx"),
        CalibrationPath = TinyDecoder.WriteTokens(_folder, 2048),
        WorkFolder = Path.Combine(_folder, "work"),
        Window = 64,
        Quantization = new QuantizationOptions { GroupSize = 16, Rank = 0 },
    };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(new[] { "up*" }, new string[0], "up0 up1")]
    [InlineData(new[] { "*.weight" }, new[] { "*0" }, "up1 down1")]
    [InlineData(new[] { "up?", "down1.weight" }, new[] { "up1" }, "up0 down1")]
    [InlineData(new string[0], new[] { "*1.w*" }, "up0 down0")]
    [InlineData(new[] { "*", "head" }, new string[0], "up0 down0 up1 down1 head")]
    [InlineData(new[] { "head*", "up0" }, new string[0], "up0")]
    public void Patterns_mean_nodes_and_weights_but_the_head_only_by_its_name(string[] include, string[] exclude, string expected) =>
        Assert.Equal(expected, Quantized(new LayerSelection { Include = include, Exclude = exclude }));

    [Fact]
    public void Small_layers_stay_float()
    {
        Assert.Equal("up0 down0 up1 down1", Quantized(new LayerSelection { MinSize = 32 * 48 }));
        ZqfpException refused = Assert.Throws<ZqfpException>(() => Quantized(new LayerSelection { MinSize = (32 * 48) + 1 }));
        Assert.Equal("ZQFP1009", refused.Code);
        Assert.Contains("the options", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_override_changes_what_it_names_and_later_ones_win()
    {
        var selection = new LayerSelection
        {
            Overrides =
            [
                new("*") { Rank = 3 },
                new("up*") { Format = NumberFormat.E4M3, GroupSize = 8 },
                new("up1") { Rank = 1 },
                new("down0") { KeepFloat = true },
            ],
        };
        QuantizeReport report = Run(_options with { Selection = selection }, out _);
        Assert.Equal(["up0", "up1", "down1"], report.Layers.Select(layer => layer.Name));
        Assert.Equal([3, 1, 3], report.Layers.Select(layer => layer.Rank));
        GraphProto saved = ModelProto.Parser.ParseFrom(File.ReadAllBytes(report.Output)).Graph;
        Assert.Equal("MatMulW8A8 MatMul MatMulW8A8 MatMulW4A8 MatMul", string.Join(
            ' ', saved.Node.Where(node => node.OpType.StartsWith("MatMul", StringComparison.Ordinal)).Select(node => node.OpType)));
        Assert.Equal([48L, 4], saved.Initializer.Single(tensor => tensor.Name == "up0.zqfp.exponents").Dims);
    }

    [Fact]
    public void A_pattern_that_matches_nothing_is_the_warning_ZQFP0010()
    {
        QuantizeReport report = Run(
            _options with { Selection = new LayerSelection { Exclude = ["no_such_*", "up0"], Overrides = [new("UP1") { Rank = 1 }] } },
            out List<Diagnostic> warnings);
        Assert.Equal(["ZQFP0010", "ZQFP0010"], warnings.Select(warning => warning.Code));
        Assert.Contains("'no_such_*' of --exclude", warnings[0].Message, StringComparison.Ordinal);
        Assert.Contains("'UP1' of --override", warnings[1].Message, StringComparison.Ordinal);
        Assert.Equal(warnings, report.Warnings);
        Assert.Equal(3, report.Layers.Count);
    }

    [Fact]
    public void An_override_without_an_operator_is_ZQFP0005()
    {
        var selection = new LayerSelection { Overrides = [new("up1") { Format = NumberFormat.E4M3 }] };
        QuantizeOptions options = _options with
        {
            Quantization = _options.Quantization with { Constraint = ScaleConstraint.None },
            Selection = selection,
        };
        Assert.Equal("ZQFP0005", Assert.Throws<ZqfpException>(() => Run(options, out _)).Code);
    }

    [Theory]
    [InlineData(CalibrationSource.Quantized, 2)]
    [InlineData(CalibrationSource.Float, 1)]
    internal void Another_override_quantizes_its_layer_anew_and_what_depends_on_it(CalibrationSource source, int quantized)
    {
        QuantizeOptions options = _options with { CalibrateOn = source };
        Run(options, out _);
        HashSet<string> before = Kept();
        Run(options with { Selection = new LayerSelection { Overrides = [new("up1") { Rank = 4 }] } }, out _);
        Assert.Subset(Kept(), before);
        Assert.Equal(4 + quantized, Kept().Count);
    }

    [Fact]
    public void Layers_calibrated_on_float_activations_do_not_see_the_layers_before_them()
    {
        double?[] Errors(CalibrationSource source, NumberFormat first) =>
            [.. Run(_options with { CalibrateOn = source, Selection = new LayerSelection { Overrides = [new("up0") { Format = first }] } },
                out _).Layers.Select(layer => layer.OutputError)];
        Assert.Equal(Errors(CalibrationSource.Float, NumberFormat.E2M1)[1..], Errors(CalibrationSource.Float, NumberFormat.E4M3)[1..]);
        Assert.NotEqual(Errors(CalibrationSource.Quantized, NumberFormat.E2M1)[1],
            Errors(CalibrationSource.Quantized, NumberFormat.E4M3)[1]);
    }

    [Fact]
    public void Several_profiles_come_from_one_quantization_each_in_a_file_of_its_own()
    {
        QuantizeReport report = Run(
            _options with { Profiles = [EmissionProfile.Portable, EmissionProfile.Custom, EmissionProfile.Qdq] }, out _);
        Assert.Equal(["out.onnx", "out.custom.onnx", "out.qdq.onnx"], report.Outputs.Select(Path.GetFileName));
        Assert.Equal(["portable", "custom", "qdq"], report.Outputs.Select(path => Property(path, "zqfp.profile")));
        foreach (string path in report.Outputs)
        {
            QuantizeReport alone = Run(_options with
            {
                Profiles = [Enum.Parse<EmissionProfile>(Property(path, "zqfp.profile"), ignoreCase: true)],
                OutputPath = Path.Combine(_folder, "alone.onnx")
            }, out _);
            Assert.Equal(File.ReadAllBytes(alone.Output + ".data"), File.ReadAllBytes(path + ".data"));
            Assert.Equal(Property(alone.Output, "zqfp.content"), Property(path, "zqfp.content"));
        }
    }

    private static string Property(string path, string key) =>
        ModelProto.Parser.ParseFrom(File.ReadAllBytes(path)).MetadataProps.Single(entry => entry.Key == key).Value;

    private HashSet<string> Kept() => [.. Directory.GetFiles(_options.WorkFolder!)];

    private string Quantized(LayerSelection selection) => string.Join(
        ' ', Run(_options with { Selection = selection }, out _).Layers.Select(layer => layer.Name));

    private static QuantizeReport Run(QuantizeOptions options, out List<Diagnostic> warnings)
    {
        var observer = new SilentObserver();
        warnings = observer.Warnings;
        return QuantizeJob.Run(options, observer, CancellationToken.None);
    }
}
