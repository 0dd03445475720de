using Google.Protobuf;
using Zqfp.OnnxRewriter.Emission;
using Zqfp.OnnxRewriter.Graphs;
using Zqfp.OnnxRewriter.Layers;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.OnnxRewriter.Slicing;
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
        Assert.Equal(["sum.zqfp.fp8", "sum.zqfp.scale", "n_product.zqfp.codes", "n_product.zqfp.exponents", "n_product.zqfp.scales", "o_bias"], saved.Node[6].Input);
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
        Assert.All(saved.Graph.Initializer, tensor => Assert.Equal(0, long.Parse(tensor.ExternalData.Single(entry => entry.Key == "offset").Value) % 4096));
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

    [Fact]
    public void Two_layers_that_share_a_weight_keep_codes_of_their_own()
    {
        _folder.Write("m.onnx", new GraphBuilder().Input("x", 1, 4).Output("logits", 1, 4).Weight("shared", [4, 4]).Weight("head", [4, 4])
            .Node("MatMul", ["x", "shared"], "a").Node("Relu", ["a"], "b").Node("MatMul", ["b", "shared"], "c").Node("MatMul", ["c", "head"], "logits").Model);
        Save("m.onnx", "out.onnx", stages: 2);
        string[] initializers = [.. ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File("out.onnx"))).Graph.Initializer.Select(tensor => tensor.Name)];
        Assert.Contains("n_a.zqfp.codes", initializers);
        Assert.Contains("n_c.zqfp.codes", initializers);
        Assert.DoesNotContain("shared", initializers);
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
        Assert.Equal("ZQFP1006", Assert.Throws<ModelException>(() => new ModelRewriter(file, graph).Replace([free])).Code);
    }

    private void Save(string from, string to, int stages = 0, EmissionProfile profile = EmissionProfile.Custom, CancellationToken cancellation = default)
    {
        using OnnxFile file = OnnxFile.Open(_folder.File(from));
        var graph = new GraphIndex(file.Graph, file.Path);
        var rewriter = new ModelRewriter(file, graph);
        foreach (CalibrationStage stage in stages == 0 ? [] : Plan(graph).Take(stages))
        {
            rewriter.Replace([.. stage.Layers.Select(Tensors)]);
        }

        rewriter.Save(_folder.File(to), profile, [new("zqfp.test", "yes")], cancellation);
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
