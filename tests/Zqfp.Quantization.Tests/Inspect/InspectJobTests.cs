using Zqfp.Numerics;

namespace Zqfp.Quantization.Tests;

public sealed class InspectJobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_sample_has_28_layers_to_quantize_and_a_head_that_stays()
    {
        InspectReport report = InspectJob.Run(SampleModel.Quick("unused.onnx"));

        Assert.Equal(28, report.QuantizedLayers);
        InspectedLayer head = Assert.Single(report.Layers, layer => layer.QuantizedBytes is null);
        Assert.Equal("tied to the embedding", head.Reason);
        Assert.All(report.Layers, layer => Assert.Equal(layer.Shape[0] * layer.Shape[1] * 4, layer.Bytes));
        Assert.Equal(report.Layers.Where(layer => layer.Reason is null).Sum(layer => layer.Bytes), report.QuantizableBytes);
        Assert.True(report.QuantizableBytes + report.OtherBytes <= report.FileBytes);
        Assert.Equal("float32", head.Type);
    }

    [Theory]
    [InlineData(256, ScaleConstraint.M2, 8)]
    [InlineData(0, ScaleConstraint.M2, 0)]
    [InlineData(100, ScaleConstraint.None, 3)]
    [InlineData(-1, ScaleConstraint.None, 1000)]
    internal void Sizes_told_beforehand_are_those_that_come_out(int group, ScaleConstraint constraint, int rank)
    {
        QuantizeOptions options = SampleModel.Quick(Path.Combine(_folder, "model.onnx")) with
        {
            Quantization = new QuantizationOptions
            {
                Method = QuantizationMethod.Rtn,
                GroupSize = group,
                Constraint = constraint,
                Rank = rank,
            },
        };
        InspectReport told = InspectJob.Run(options);
        QuantizeReport made = QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None);

        Assert.Equal(
            made.Layers.Select(layer => (layer.Name, (long)Math.Round(layer.BitsPerWeight * layer.Rows * layer.Columns / 8))),
            told.Layers.Where(layer => layer.Reason is null).Select(layer => (layer.Name, layer.QuantizedBytes!.Value)));
    }

    [Fact]
    public void A_quantized_model_shows_its_recipe_and_that_its_layers_are_quantized_already()
    {
        string output = Path.Combine(_folder, "model.onnx");
        QuantizeJob.Run(SampleModel.Quick(output) with { Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn } },
            new SilentObserver(), CancellationToken.None);
        InspectReport report = InspectJob.Run(SampleModel.Quick("unused.onnx") with { ModelPath = output });

        Assert.Equal(0, report.QuantizedLayers);
        Assert.Equal(28, report.Layers.Count(layer => layer.Reason == "quantized already" && layer.Type == "float4e2m1"));
        Assert.Contains("M2", report.Properties["zqfp.recipe"], StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_model_is_a_coded_error() =>
        Assert.Equal("ZQFP0001",
            Assert.Throws<ZqfpException>(
                () => InspectJob.Run(SampleModel.Quick("x") with { ModelPath = Path.Combine(_folder, "none.onnx") })).Code);
}
