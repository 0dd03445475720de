using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class ModelRewriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Saving_without_changes_keeps_nodes_initializers_and_unknown_fields()
    {
        ModelProto original = GraphBuilder.Decoder().Model;

        // Field 9999 of the model is unknown to the definition file: 9999 << 3 | 2, length 3.
        byte[] bytes = [.. original.ToByteArray(), 0xFA, 0xF0, 0x04, 3, 1, 2, 3];
        File.WriteAllBytes(_folder.File("m.onnx"), bytes);
        Save("m.onnx", "out.onnx");
        byte[] written = File.ReadAllBytes(_folder.File("out.onnx"));
        Assert.True(written.AsSpan().IndexOf(new byte[] { 0xFA, 0xF0, 0x04, 3, 1, 2, 3 }) >= 0);
        ModelProto saved = ModelProto.Parser.ParseFrom(written);
        Assert.Equal(original.Graph.Node, saved.Graph.Node);
        Assert.Equal(original.Graph.Initializer, saved.Graph.Initializer);
        Assert.Equal(original.OpsetImport, saved.OpsetImport);
    }

    [Fact]
    public void A_replaced_stage_reads_one_rounding_of_its_input_and_drops_what_is_dead()
    {
        _folder.Write("m.onnx", GraphBuilder.Decoder().Model);
        Save("m.onnx", "out.onnx", stages: 2);
        GraphProto saved = ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File("out.onnx"))).Graph;
        Assert.Equal(
            ["Gather", "QuantizeTokens", "MatMulW4A8", "MatMulW4A8", "Add", "QuantizeTokens", "MatMulW4A8", "Add", "Transpose", "MatMul"],
            saved.Node.Select(node => node.OpType));
        Assert.Equal(["sum.zqfp.fp8", "sum.zqfp.scale", "n_product.zqfp.codes", "n_product.zqfp.exponents", "n_product.zqfp.scales",
            "o_bias"], saved.Node[6].Input);
        Assert.Equal(["attended"], saved.Node[6].Output);
        string[] initializers = [.. saved.Initializer.Select(tensor => tensor.Name)];
        Assert.DoesNotContain("q", initializers);
        Assert.Contains("embedding", initializers);
        TensorProto codes = saved.Initializer.Single(tensor => tensor.Name == "n_xq.zqfp.codes");
        Assert.Equal(((int)DataType.Float4E2M1, "6,8"), (codes.DataType, string.Join(',', codes.Dims)));
    }

    [Fact]
    public void A_rewritten_model_imports_the_domain_and_the_version_that_has_FP4()
    {
        _folder.Write("m.onnx", GraphBuilder.Decoder().Model);
        Save("m.onnx", "out.onnx", stages: 1);
        ModelProto saved = ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File("out.onnx")));
        Assert.Equal(11, saved.IrVersion);
        Assert.Contains(saved.OpsetImport, opset => opset is { Domain: "zqfp", Version: 1 });
        Assert.Contains(saved.MetadataProps, entry => entry is { Key: "zqfp.test", Value: "yes" });
    }

    [Fact]
    public void Large_tensors_go_to_aligned_external_data_and_come_back()
    {
        float[] values = [.. Enumerable.Range(0, 40 * 30).Select(i => i * 0.5f)];
        ModelProto model = new GraphBuilder().Input("x", 1, 40).Output("logits", 1, 30).Weight("w", [40, 30], values).Weight("v", [30, 30])
            .Node("MatMul", ["x", "w"], "y").Node("MatMul", ["y", "v"], "logits").Model;
        _folder.Write("m.onnx", model);
        Save("m.onnx", "out.onnx");
        using OnnxFile saved = OnnxFile.Open(_folder.File("out.onnx"));
        Assert.All(saved.Graph.Initializer,
            tensor => Assert.Equal(0, long.Parse(tensor.ExternalData.Single(entry => entry.Key == "offset").Value) % 4096));
        float[] read = new float[values.Length];
        saved.Read(saved.Graph.Initializer[0]).ReadFloats(0, read);
        Assert.Equal(values, read);
    }

    [Fact]
    public void The_same_model_gives_the_same_bytes()
    {
        _folder.Write("m.onnx", GraphBuilder.Decoder().Model);
        Save("m.onnx", "a.onnx", stages: 2);
        Save("m.onnx", "b.onnx", stages: 2);
        Assert.Equal(File.ReadAllBytes(_folder.File("a.onnx.data")), File.ReadAllBytes(_folder.File("b.onnx.data")));
    }

    [Fact]
    public void Cancelled_saving_leaves_nothing()
    {
        _folder.Write("m.onnx", GraphBuilder.Decoder().Model);
        Assert.Throws<OperationCanceledException>(() => Save("m.onnx", "out.onnx", cancellation: new CancellationToken(canceled: true)));
        Assert.Equal(["m.onnx"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void A_slice_declares_what_it_reads_and_holds_only_its_own_weights()
    {
        _folder.Write("m.onnx", GraphBuilder.Decoder().Model);
        using OnnxFile file = OnnxFile.Open(_folder.File("m.onnx"));
        var graph = new GraphIndex(file.Graph, file.Path);
        IReadOnlyList<CalibrationStage> stages = Plan(graph);
        var rewriter = new ModelRewriter(file, graph);
        SliceModel slice = rewriter.Slice(stages[2], new Dictionary<string, (DataType, int)> { ["sum"] = (DataType.Float, 3) });
        Assert.Equal(["ids", "sum"], slice.Model.Graph.Input.Select(input => input.Name));
        Assert.Equal(["residual"], slice.Outputs);
        Assert.Equal(["embedding", "o", "o_bias"], slice.Model.Graph.Initializer.Select(tensor => tensor.Name));
        Assert.Equal(3, slice.Model.Graph.Input[1].Type.TensorType.Shape.Dim.Count);
    }

    [Theory]
    [InlineData(EmissionProfile.Custom)]
    [InlineData(EmissionProfile.Portable)]
    [InlineData(EmissionProfile.Qdq)]
    internal void A_weight_that_two_layers_share_is_stored_once(EmissionProfile profile)
    {
        _folder.Write("m.onnx", new GraphBuilder().Input("x", 1, 4).Output("logits", 1, 4).Weight("shared", [4, 4]).Weight("head", [4, 4])
            .Node("MatMul", ["x", "shared"], "a").Node("Relu", ["a"], "b").Node("MatMul", ["b", "shared"], "c")
            .Node("MatMul", ["c", "head"], "logits").Model);
        Save("m.onnx", "out.onnx", stages: 2, profile);
        GraphProto saved = ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File("out.onnx"))).Graph;
        Assert.Equal(
            "n_a.zqfp.codes", Assert.Single(saved.Initializer, tensor => tensor.Name.EndsWith("codes", StringComparison.Ordinal)).Name);
        Assert.Equal(2, saved.Node.Count(node => node.Input.Contains("n_a.zqfp.codes")));
        Assert.DoesNotContain(saved.Initializer, tensor => tensor.Name == "shared");
        string[] made = [.. saved.Node.SelectMany(node => node.Output)];
        Assert.Equal(made.Distinct(), made);
    }

    [Fact]
    public void Weights_that_are_quantized_differently_are_not_shared()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 4).Output("logits", 1, 4).Weight("shared", [4, 4])
            .Node("MatMul", ["x", "shared"], "a").Node("MatMul", ["a", "shared"], "b").Node("Transpose", ["shared"], "turned").Node(
                "MatMul", ["b", "turned"], "logits");
        var graph = new GraphIndex(builder.Graph, "test.onnx");
        IReadOnlyList<LinearLayer> layers = LinearLayerFinder.Find(graph, "logits");
        Assert.Equal([null, "n_a", null], SharedWeights.Mark(graph, layers, (_, _) => true).Select(layer => layer.SharesWeightOf));
        Assert.Equal([null, null, null], SharedWeights.Mark(graph, layers, (_, _) => false).Select(layer => layer.SharesWeightOf));
    }

    [Theory]
    [InlineData(EmissionProfile.Custom)]
    [InlineData(EmissionProfile.Portable)]
    internal void A_bfloat16_layer_is_cast_to_float_and_back_and_its_bias_added_behind(EmissionProfile profile)
    {
        byte[] weights = new byte[32];
        _folder.Write("m.onnx", new GraphBuilder().Input("x", 1, 4).Output("logits", 1, 4)
            .Raw("w", DataType.Bfloat16, [4, 4], weights).Raw("b", DataType.Bfloat16, [4], new byte[8])
            .Raw("head", DataType.Bfloat16, [4, 4], weights)
            .Node("MatMul", ["x", "w"], "product").Node("Add", ["product", "b"], "y").Node("MatMul", ["y", "head"], "logits").Model);
        Save("m.onnx", "out.onnx", stages: 1, profile);
        GraphProto saved = ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File("out.onnx"))).Graph;
        Assert.Equal(["Cast", "QuantizeTokens", "MatMulW4A8", "Cast", "Add", "MatMul"], saved.Node.Select(node => node.OpType));
        Assert.Equal([(long)DataType.Float, (long)DataType.Bfloat16],
            saved.Node.Where(node => node.OpType == "Cast").Select(node => node.Attribute.Single().I));
        Assert.Equal((long)DataType.Float, saved.Node[2].Attribute.Single(attribute => attribute.Name == "dtype").I);
        Assert.Equal(["y.zqfp.product", "b"], saved.Node[4].Input);
        Assert.Equal(["y"], saved.Node[4].Output);
    }

    [Fact]
    public void The_content_property_does_not_depend_on_the_files_name_but_on_every_weight()
    {
        string Content(string from, string to)
        {
            Save(from, to, stages: 1);
            return ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File(to))).MetadataProps.Single(
                entry => entry.Key == "zqfp.content").Value;
        }

        _folder.Write("m.onnx", GraphBuilder.Decoder().Model);
        GraphBuilder other = GraphBuilder.Decoder();
        other.Graph.Initializer[3].RawData = ByteString.CopyFrom(new byte[other.Graph.Initializer[3].RawData.Length]);
        _folder.Write("other.onnx", other.Model);
        string content = Content("m.onnx", "a.onnx");
        Assert.Matches("^[0-9a-f]{64}$", content);
        Assert.Equal(content, Content("m.onnx", "b.onnx"));
        Assert.NotEqual(content, Content("other.onnx", "c.onnx"));
    }

    [Fact]
    public void A_replaced_weight_that_was_listed_as_an_input_is_no_input_any_more()
    {
        GraphBuilder builder = GraphBuilder.Decoder().Input("q", 8, 6).Input("embedding", 10, 8);
        _folder.Write("m.onnx", builder.Model);
        Save("m.onnx", "out.onnx", stages: 1);
        GraphProto saved = ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File("out.onnx"))).Graph;
        Assert.Equal(["ids", "embedding"], saved.Input.Select(input => input.Name));
    }

    [Fact]
    public void A_combination_without_operator_is_ZQFP1006()
    {
        _folder.Write("m.onnx", GraphBuilder.Decoder().Model);
        using OnnxFile file = OnnxFile.Open(_folder.File("m.onnx"));
        var graph = new GraphIndex(file.Graph, file.Path);
        QuantizedLayerTensors free = Tensors(Plan(graph)[0].Layers[0]) with { Exponents = null, Activations = ActivationRounding.None };
        Assert.Equal("ZQFP1006", Assert.Throws<ZqfpException>(() => new ModelRewriter(file, graph).Replace([free])).Code);
    }

    private void Save(
        string from, string to, int stages = 0, EmissionProfile profile = EmissionProfile.Custom, CancellationToken cancellation = default)
    {
        using OnnxFile file = OnnxFile.Open(_folder.File(from));
        var graph = new GraphIndex(file.Graph, file.Path);
        var rewriter = new ModelRewriter(file, graph);
        CalibrationStage[] replaced = stages == 0 ? [] : [.. Plan(graph).Take(stages)];
        IReadOnlyList<LinearLayer> marked = SharedWeights.Mark(graph, [.. replaced.SelectMany(stage => stage.Layers)], (_, _) => true);
        foreach (CalibrationStage stage in replaced)
        {
            rewriter.Replace([.. marked.Where(layer => layer.Input == stage.Input).Select(Tensors)]);
        }

        using ModelWriter written = rewriter.Write(_folder.File(to), profile, [new("zqfp.test", "yes")], "zqfp.content", cancellation);
        written.Commit();
    }

    private static IReadOnlyList<CalibrationStage> Plan(GraphIndex graph)
    {
        IReadOnlyList<LinearLayer> layers = LinearLayerFinder.Find(graph, "logits");
        return StagePlanner.Plan(graph, layers, layers, "logits");
    }

    private static QuantizedLayerTensors Tensors(LinearLayer layer) => new()
    {
        Layer = layer,
        CodesType = WeightCodes.Fp4E2M1,
        Codes = new byte[((layer.InFeatures * layer.OutFeatures) + 1) / 2],
        GroupSize = 256,
        Exponents = new byte[layer.OutFeatures],
        Scales = new float[layer.OutFeatures],
        Activations = ActivationRounding.Fp8,
    };
}
