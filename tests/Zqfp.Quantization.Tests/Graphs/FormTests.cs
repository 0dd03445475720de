using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>The control case with its layers spelled in other ways: the same numbers, so the same layers and perplexity.</summary>
public sealed class FormTests : IDisposable
{
    private const double Perplexity = 1907.137;
    private const int Layers = 14;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string> Forms => new("FusedMatMul", "Einsum", "EinsumTransposed", "EinsumHeads", "Conv",
        "LeadingOne", "Gemm", "Function", "Overloads", "Sparse", "Left", "FusedTransA", "FusedLeft", "EinsumEllipsis", "EinsumImplicit",
        "EinsumHeadsFirst", "EinsumJoinsHeads", "EinsumUpper", "Conv2D", "GemmBias[]", "GemmBias[1,1]", "GemmBias[1,N]", "GemmBias[N]",
        "GemmLeft", "Identity", "Squeeze", "NoNames", "Split", "Slice", "Concat", "Scaled", "Adapter",
        "EinsumMiddle", "BranchBefore", "ViewsAround");

    [Theory]
    [MemberData(nameof(Forms))]
    public void A_layer_of_every_form_is_a_layer_and_computes_the_same(string form)
    {
        GraphCase model = Case(graph => LayerForms.Spell(graph, form));
        Assert.Equal(1, model.Perplexity() / Perplexity, 1e-5);
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(Layers, report.Layers.Count);
        Assert.Equal(1, report.Coverage!.BodyShare);
        Assert.DoesNotContain(report.Warnings, warning => warning.Code == "ZQFP2105");
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);
    }

    [Fact]
    public void The_product_that_makes_a_part_of_a_weight_is_no_layer_and_a_layer_left_out_reads_the_same_weight()
    {
        GraphCase model = Case(graph => LayerForms.Spell(graph, "Adapter"));
        Assert.Equal(Layers + 1, model.Inspect().Coverage.Weights);
        QuantizeReport report = model.Quantize(model.Exact with { Selection = new LayerSelection { Exclude = ["*q_proj*"] } });
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);
    }

    [Fact]
    public void A_weight_that_something_else_reads_is_no_embedding_and_stays_for_it()
    {
        GraphCase model = Case(model =>
        {
            model.Graph.Node.Add(new NodeProto { OpType = "ReduceL2", Input = { "l0.q_proj.weight" }, Output = { "norm" } });
            model.Graph.Node.Add(new NodeProto { OpType = "Shape", Input = { "l0.up_proj.weight" }, Output = { "shape" } });
            model.Graph.Output.Add([new ValueInfoProto { Name = "norm", Type = Of(DataType.Float) },
                new ValueInfoProto { Name = "shape", Type = Of(DataType.Int64) }]);
        });
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(Layers, report.Layers.Count);
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);

        static TypeProto Of(DataType type) => new() { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type } };
    }

    [Fact]
    public void A_weight_that_is_no_number_is_an_error_about_the_model()
    {
        GraphCase model = Case(model =>
        {
            TensorProto weight = model.Graph.Initializer.Single(tensor => tensor.Name == "l0.q_proj.weight");
            byte[] bytes = weight.RawData.ToByteArray();
            BitConverter.TryWriteBytes(bytes.AsSpan(5 * sizeof(float)), float.NaN);
            weight.RawData = ByteString.CopyFrom(bytes);
        });
        ZqfpException error = Assert.Throws<ZqfpException>(() => model.Quantize(model.Options));
        Assert.Equal(("ZQFP2002", model.Options.ModelPath), (error.Code, error.File));
        Assert.Contains("Layer '/l0.q_proj/MatMul': The weight at row 5, column 0 is NaN.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_layer_kind_that_breaks_is_warned_about_and_named()
    {
        GraphCase model = Case(graph => LayerForms.Spell(graph, "If"));
        QuantizeReport report = model.Quantize(model.Exact with { Selection = new LayerSelection() });
        Diagnostic warning = Assert.Single(report.Warnings, warning => warning.Code == "ZQFP2105");
        Assert.Contains("inside the body of", warning.Message, StringComparison.Ordinal);
        Assert.Equal(Layers / 2, report.Layers.Count);
        Assert.Equal(Layers / 2,
            model.Inspect().Coverage.Exceptions.Count(weight => weight.Reason.Contains("inside the body of", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("Double", "computes in float64")]
    [InlineData("OtherFunction", "inside the function linear, which needs other operator sets")]
    [InlineData("If", "inside the body of node")]
    [InlineData("Loop", "inside the body of node")]
    [InlineData("Scan", "inside the body of node")]
    [InlineData("NestedIf", "inside the body of node")]
    public void A_layer_of_a_form_that_is_not_quantized_is_named_with_the_true_reason(string form, string reason)
    {
        GraphCase model = Case(graph => LayerForms.Spell(graph, form));
        Assert.Equal(1, model.Perplexity() / Perplexity, 1e-5);
        FloatWeight[] exceptions = [.. model.Inspect().Coverage.Exceptions.Where(weight => weight.Reason != "makes the logits")];
        Assert.All(exceptions, weight => Assert.Contains(reason, weight.Reason, StringComparison.Ordinal));
        Assert.Equal((Layers + 1) / 2, exceptions.Length);
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(Layers / 2, report.Layers.Count);
        Assert.Contains(reason, Assert.Single(report.Warnings, warning => warning.Code == "ZQFP2105").Message, StringComparison.Ordinal);
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);
    }

    [Fact]
    public void Two_outputs_that_can_be_the_logits_are_refused_unless_one_is_named()
    {
        GraphCase model = Case(model =>
        {
            GraphProto graph = model.Graph;
            NodeProto head = graph.Node.Single(node => node.Output.Contains("logits"));
            head.Output[0] = "one";
            graph.Node.Add(new NodeProto { OpType = "Mul", Name = "twice", Input = { "one", "one" }, Output = { "two" } });
            ValueInfoProto one = graph.Output.Single(output => output.Name == "logits");
            one.Name = "one";
            ValueInfoProto two = one.Clone();
            two.Name = "two";
            graph.Output.Add(two);
        });
        ZqfpException error = Assert.Throws<ZqfpException>(() => model.Inspect());
        Assert.Equal("ZQFP1014", error.Code);
        Assert.Contains("'one', 'two'", error.Message, StringComparison.Ordinal);
        Assert.Equal("ZQFP1015", Assert.Throws<ZqfpException>(() => model.Quantize(model.Exact with { Logits = "three" })).Code);
        Assert.Equal(Layers, model.Quantize(model.Exact with { Logits = "one" }).Layers.Count);
    }

    [Fact]
    public void A_region_that_two_initializers_share_is_written_once()
    {
        byte[] shared = new byte[64 * 32 * sizeof(float)];
        GraphCase model = Case(model =>
        {
            foreach (string name in new[] { "first", "second" })
            {
                TensorProto tensor = new()
                {
                    Name = name,
                    DataType = (int)DataType.Float,
                    Dims = { 64, 32 },
                    DataLocation = DataLocation.External,
                };
                tensor.ExternalData.Add([new() { Key = "location", Value = "w.bin" }, new() { Key = "offset", Value = "0" },
                    new() { Key = "length", Value = $"{shared.Length}" }]);
                model.Graph.Initializer.Add(tensor);
                model.Graph.Output.Add(new ValueInfoProto
                {
                    Name = name,
                    Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Float } },
                });
            }
        });
        File.WriteAllBytes(Path.Combine(_folder, "w.bin"), shared);
        string written = model.Quantize(model.Exact).Output;
        ModelProto output = ModelProto.Parser.ParseFrom(File.ReadAllBytes(written));
        string[] offsets = [.. output.Graph.Initializer.Where(tensor => tensor.Name is "first" or "second")
            .Select(tensor => tensor.ExternalData.Single(entry => entry.Key == "offset").Value)];
        Assert.Equal(2, offsets.Length);
        Assert.Equal(offsets[0], offsets[1]);
    }

    private GraphCase Case(Action<ModelProto> change)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Repository.Path("tests/Cases/base/model.onnx")));
        change(model);
        string path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, model.ToByteArray());
        return new GraphCase(path, Repository.Path("tests/Cases/base/cal.i16"), Repository.Path("tests/Cases/base/eval.i16"), _folder);
    }
}
