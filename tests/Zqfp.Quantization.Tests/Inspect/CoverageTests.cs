using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Quantization.Tests;

/// <summary>What is said about linear weights that are not quantized.</summary>
public sealed class CoverageTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("exclude")]
    [InlineData("override")]
    [InlineData("include")]
    public void Layers_that_the_options_leave_out_are_listed_and_not_warned_about(string option)
    {
        LayerSelection selection = option switch
        {
            "exclude" => new() { Exclude = ["*gate_proj*", "*up_proj*"] },
            "override" => new() { Overrides = [new("*gate_proj*") { KeepFloat = true }, new("*up_proj*") { KeepFloat = true }] },
            _ => new() { Include = ["*_proj.weight"], Exclude = ["*gate_proj*", "*up_proj*"] },
        };
        GraphCase model = Case("base");
        QuantizeReport report = model.Quantize(model.Exact with { Selection = selection });
        Assert.DoesNotContain(report.Warnings, warning => warning.Code is "ZQFP2105" or "ZQFP0010");
        Assert.Equal(1, report.Coverage!.BodyShare);
        Assert.Equal((10, 15), (report.Coverage.Quantized, report.Coverage.Weights));
        string reason = option == "override" ? "kept float by an override" : "excluded";
        Assert.Equal(4, report.Coverage.Exceptions.Count(weight => weight.Reason == reason));
        Assert.Contains(report.Coverage.DescribeExceptions(),
            line => line.StartsWith($"4 not quantized: {reason}", StringComparison.Ordinal));
    }

    [Fact]
    public void Products_that_cannot_be_quantized_are_warned_about_by_quantize_and_plan_until_they_are_excluded()
    {
        GraphCase model = Case("If");
        Assert.Single(model.Quantize(model.Exact).Warnings, warning => warning.Code == "ZQFP2105");
        Assert.Single(PlanJob.Run(model.Exact, CancellationToken.None).Warnings, warning => warning.Code == "ZQFP2105");

        QuantizeOptions excluded = model.Exact with { Selection = new LayerSelection { Exclude = ["*.then.*"] } };
        QuantizeReport report = model.Quantize(excluded);
        Assert.DoesNotContain(report.Warnings, warning => warning.Code is "ZQFP2105" or "ZQFP0010");
        Assert.Equal(7,
            report.Coverage!.Exceptions.Count(weight => weight.Reason.Contains("inside the body of", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_head_on_the_region_of_the_embedding_is_tied_to_it_and_the_region_is_written_once()
    {
        string path = Path.Combine(_folder, "model.onnx");
        File.Copy(Repository.Path("tests/Cases/ext_tied/model.onnx"), path);
        ModelProto read = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        TensorProto[] external = [.. read.Graph.Initializer.Where(tensor => tensor.ExternalData.Count > 0)];
        float[] weights = new float[external.Max(tensor => Entry(tensor, "offset") + Entry(tensor, "length")) / sizeof(float)];
        var random = new Random(3);
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] = 0.05f * (random.NextSingle() - 0.5f);
        }

        File.WriteAllBytes(Path.Combine(_folder, "w.bin"), System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(weights).ToArray());
        GraphCase model = Case(path);
        InspectReport report = model.Inspect();
        Assert.Equal(external.Where(tensor => tensor.Name != "lm_head.weight").Sum(tensor => Entry(tensor, "length")),
            report.OtherBytes + report.QuantizableBytes - Inline(read));
        FloatWeight head = Assert.Single(report.Coverage.Exceptions);
        Assert.Equal("tied to the embedding", head.Reason);

        ModelProto written = ModelProto.Parser.ParseFrom(File.ReadAllBytes(model.Quantize(model.Exact).Output));
        long[] offsets =
        [
            .. written.Graph.Initializer.Where(tensor => tensor.Name is "embed.weight" or "lm_head.weight")
                .Select(tensor => Entry(tensor, "offset"))
        ];
        Assert.Equal(2, offsets.Length);
        Assert.Equal(offsets[0], offsets[1]);
    }

    private GraphCase Case(string name)
    {
        string path = name switch
        {
            "base" => Repository.Path("tests/Cases/base/model.onnx"),
            _ when File.Exists(name) => name,
            _ => Path.Combine(_folder, "model.onnx"),
        };
        if (!File.Exists(path))
        {
            File.WriteAllBytes(path, LayerForms.Spelled(name).ToByteArray());
        }

        return new GraphCase(path, Repository.Path("tests/Cases/base/cal.i16"), Repository.Path("tests/Cases/base/eval.i16"), _folder);
    }

    private static long Inline(ModelProto model) => model.Graph.Initializer.Where(tensor => tensor.ExternalData.Count == 0)
        .Sum(tensor => tensor.RawData.Length + (tensor.FloatData.Count * sizeof(float)) + (tensor.Int64Data.Count * sizeof(long)));

    private static long Entry(TensorProto tensor, string key) => long.Parse(
        tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value ?? "0", System.Globalization.CultureInfo.InvariantCulture);
}
