using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class ProfileTests : IDisposable
{
    private static readonly float[] E2M1 = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Portable_declares_the_codes_as_UINT4_and_brings_a_body_for_every_operator()
    {
        ModelProto saved = Save(EmissionProfile.Portable, GraphBuilder.Decoder());
        TensorProto codes = saved.Graph.Initializer.Single(tensor => tensor.Name == "n_product.zqfp.codes");
        Assert.Equal((int)DataType.Uint4, codes.DataType);
        string[] bodies = [.. saved.Functions.Select(function => function.Name)];
        Assert.All(saved.Graph.Node.Where(node => node.Domain == "zqfp"), node => Assert.Contains(node.OpType, bodies));
        Assert.All(saved.Functions, function => Assert.Equal("zqfp", function.Domain));
    }

    [Fact]
    public void Portable_gives_every_node_all_inputs_of_the_body()
    {
        ModelProto saved = Save(EmissionProfile.Portable, GraphBuilder.Decoder());
        foreach (NodeProto node in saved.Graph.Node.Where(node => node.Domain == "zqfp"))
        {
            FunctionProto body = saved.Functions.Single(function => function.Name == node.OpType);
            Assert.Equal(body.Input.Count, node.Input.Count);
            Assert.DoesNotContain("", node.Input);
            Assert.Equal(body.Attribute.Order(), node.Attribute.Select(attribute => attribute.Name).Order());
        }
    }

    [Fact]
    public void A_body_reads_only_what_it_has()
    {
        foreach (FunctionProto body in Save(EmissionProfile.Portable, GraphBuilder.Decoder()).Functions)
        {
            HashSet<string> known = [.. body.Input];
            foreach (NodeProto node in body.Node)
            {
                Assert.Subset(known, node.Input.ToHashSet());
                Assert.All(node.Output, output => Assert.True(known.Add(output), $"{body.Name}: {output} is made twice."));
            }

            Assert.Subset(known, body.Output.ToHashSet());
        }
    }

    [Fact]
    public void Qdq_is_standard_ONNX_and_its_weights_are_the_same_numbers()
    {
        ModelProto saved = Save(EmissionProfile.Qdq, GraphBuilder.Decoder());
        Assert.DoesNotContain(saved.OpsetImport, import => import.Domain == "zqfp");
        Assert.All(saved.Graph.Node, node => Assert.Equal("", node.Domain));
        Assert.Equal(23, saved.OpsetImport.Single(import => import.Domain.Length == 0).Version);

        NodeProto node = saved.Graph.Node.Single(node => node.OpType == "DequantizeLinear" && node.Input[0] == "n_xq.zqfp.codes");
        using OnnxFile file = OnnxFile.Open(_folder.File("out.onnx"));
        byte[] codes = file.Read(file.Graph.Initializer.Single(tensor => tensor.Name == node.Input[0])).Slice(0, 24).ToArray();
        float[] scales = new float[12];
        file.Read(file.Graph.Initializer.Single(tensor => tensor.Name == node.Input[1])).ReadFloats(0, scales);
        long block = node.Attribute.Single(attribute => attribute.Name == "block_size").I;
        for (int i = 0; i < 48; i++)
        {
            (int row, int column) = (i / 8, i % 8);
            float value = E2M1[(codes[i / 2] >> (4 * (i % 2))) & 15] * scales[(row * 2) + (int)(column / block)];
            Assert.Equal(E2M1[(i * 5) % 16] * (row + 1) * MathF.Pow(2, -(column / 5)), value);
        }
    }

    [Fact]
    public void An_older_operator_set_is_raised_where_the_profile_needs_it()
    {
        GraphBuilder builder = GraphBuilder.Decoder();
        builder.Model.OpsetImport[0].Version = 17;
        builder.Graph.Node.Insert(1, new NodeProto
        {
            OpType = "ReduceMean",
            Name = "mean",
            Input = { "x" },
            Output = { "x_mean" },
            Attribute = { GraphBuilder.Ints("axes", -1) },
        });
        builder.Graph.Output.Add(new ValueInfoProto { Name = "x_mean" });
        ModelProto saved = Save(EmissionProfile.Portable, builder);
        Assert.Equal(21, saved.OpsetImport.Single(import => import.Domain.Length == 0).Version);
        NodeProto mean = saved.Graph.Node.Single(node => node.Name == "mean");
        Assert.Empty(mean.Attribute);
        Assert.Equal(["x", "x_mean.zqfp.axes"], mean.Input);
        Assert.Contains(saved.Graph.Initializer, tensor => tensor.Name == "x_mean.zqfp.axes");
        Assert.Equal(17, Save(EmissionProfile.Custom, builder).OpsetImport.Single(import => import.Domain.Length == 0).Version);
    }

    [Fact]
    public void Nodes_in_bodies_are_raised_with_the_others()
    {
        GraphBuilder builder = GraphBuilder.Decoder().Raw("yes", DataType.Bool, [], 1);
        builder.Model.OpsetImport[0].Version = 17;
        GraphProto body = new() { Name = "body", Output = { new ValueInfoProto { Name = "inner" } } };
        body.Node.Add(
            new NodeProto { OpType = "ReduceMax", Input = { "x" }, Output = { "inner" }, Attribute = { GraphBuilder.Ints("axes", -1) } });
        GraphProto other = body.Clone();
        other.Node[0].Output[0] = other.Output[0].Name = "other";
        builder.Node("If", ["yes"], "most", new AttributeProto { Name = "then_branch", G = body }, new AttributeProto
        {
            Name = "else_branch",
            G = other,
        });
        builder.Graph.Output.Add(new ValueInfoProto { Name = "most" });
        NodeProto saved = Save(EmissionProfile.Portable, builder).Graph.Node.Single(node => node.OpType == "If");
        Assert.All(saved.Attribute, branch => Assert.Equal(branch.G.Node[0].Input[1], branch.G.Initializer.Single().Name));
        Assert.All(saved.Attribute, branch => Assert.Empty(branch.G.Node[0].Attribute));
    }

    [Theory]
    [InlineData("DFT")]
    [InlineData("GroupNormalization")]
    public void A_node_without_a_rule_is_ZQFP1010_and_named(string op)
    {
        GraphBuilder builder = GraphBuilder.Decoder().Node(op, ["x"], "other");
        builder.Model.OpsetImport[0].Version = 17;
        builder.Graph.Output.Add(new ValueInfoProto { Name = "other" });
        ZqfpException error = Assert.Throws<ZqfpException>(() => Save(EmissionProfile.Portable, builder));
        Assert.Equal("ZQFP1010", error.Code);
        Assert.Contains($"node 'n_other' ({op})", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_operator_set_too_old_to_raise_is_ZQFP1010_and_writes_nothing()
    {
        GraphBuilder builder = GraphBuilder.Decoder();
        builder.Model.OpsetImport[0].Version = 11;
        Assert.Equal("ZQFP1010", Assert.Throws<ZqfpException>(() => Save(EmissionProfile.Portable, builder)).Code);
        Assert.False(File.Exists(_folder.File("out.onnx")));
    }

    [Fact]
    public void A_rotated_layer_has_its_block_as_an_attribute_of_QuantizeTokens()
    {
        ModelProto saved = Save(EmissionProfile.Custom, GraphBuilder.Decoder(), layer => layer with { Rotation = 4 });
        NodeProto[] nodes = [.. saved.Graph.Node.Where(node => node.OpType == "QuantizeTokens")];
        Assert.NotEmpty(nodes);
        Assert.All(nodes, node => Assert.Equal(("rotation", 4), (node.Attribute.Single().Name, node.Attribute.Single().I)));
        Assert.DoesNotContain(saved.Graph.Node, node => node.OpType == "RotateTokens");
        Assert.All(
            Save(EmissionProfile.Custom, GraphBuilder.Decoder()).Graph.Node.Where(node => node.OpType == "QuantizeTokens"),
            node => Assert.Empty(node.Attribute));
    }

    [Theory]
    [InlineData(EmissionProfile.Custom)]
    [InlineData(EmissionProfile.Portable)]
    [InlineData(EmissionProfile.Simulated)]
    internal void A_rotated_layer_without_rounded_activations_reads_what_RotateTokens_makes(EmissionProfile profile)
    {
        ModelProto saved = Save(profile, GraphBuilder.Decoder(), layer => layer with
        {
            Rotation = 4,
            Activations = ActivationRounding.None,
            Values = new float[layer.Layer.InFeatures * layer.Layer.OutFeatures],
        });
        NodeProto[] rotations = [.. saved.Graph.Node.Where(node => node.OpType == "RotateTokens")];
        Assert.NotEmpty(rotations);
        string[] products = profile == EmissionProfile.Simulated ? ["MatMul"] : ["MatMulW4A16"];
        foreach (NodeProto rotation in rotations)
        {
            Assert.Equal(4, rotation.Attribute.Single(attribute => attribute.Name == "rotation").I);
            Assert.Contains(saved.Graph.Node, node => products.Contains(node.OpType) && node.Input[0] == rotation.Output[0]);
        }

        if (profile == EmissionProfile.Portable)
        {
            Assert.Contains(saved.Functions, function => function.Name == "RotateTokens");
        }
    }

    [Fact]
    public void Qdq_rotates_by_a_product_with_the_normalized_Hadamard_matrix()
    {
        ModelProto saved = Save(EmissionProfile.Qdq, GraphBuilder.Decoder(), layer => layer with { Rotation = 4 });
        Assert.All(saved.Graph.Node, node => Assert.Equal("", node.Domain));
        NodeProto rotation = saved.Graph.Node.First(node => node.OpType == "MatMul" && node.Input[1] == "zqfp.rotation_4.matrix");
        NodeProto back = saved.Graph.Node.Single(node => node.OpType == "Reshape" && node.Input[0] == rotation.Output[0]);
        Assert.Contains(saved.Graph.Node, node => node.OpType == "Abs" && node.Input[0] == back.Output[0]);
        Assert.Contains(saved.Graph.Node, node => node.OpType == "Div" && node.Input[0] == back.Output[0]);

        using OnnxFile file = OnnxFile.Open(_folder.File("out.onnx"));
        float[] matrix = new float[16];
        file.Read(file.Graph.Initializer.Single(tensor => tensor.Name == "zqfp.rotation_4.matrix")).ReadFloats(0, matrix);
        Assert.Equal([0.5f, 0.5f, 0.5f, 0.5f, 0.5f, -0.5f, 0.5f, -0.5f, 0.5f, 0.5f, -0.5f, -0.5f, 0.5f, -0.5f, -0.5f, 0.5f], matrix);
    }

    [Fact]
    public void Only_a_rotated_model_has_bodies_that_rotate()
    {
        ModelProto plain = Save(EmissionProfile.Portable, GraphBuilder.Decoder());
        Assert.DoesNotContain(plain.Functions, function => function.Name == "RotateTokens");
        Assert.Empty(plain.Functions.Single(function => function.Name == "QuantizeTokens").AttributeProto);

        ModelProto rotated = Save(EmissionProfile.Portable, GraphBuilder.Decoder(), layer => layer with { Rotation = 4 });
        FunctionProto body = rotated.Functions.Single(function => function.Name == "QuantizeTokens");
        Assert.Equal(0, body.AttributeProto.Single().I);
        Assert.Contains(body.Node, node => node.OpType == "RotateTokens" && node.Domain == "zqfp");
        Assert.Contains(body.OpsetImport, import => import.Domain == "zqfp");
    }

    private ModelProto Save(
        EmissionProfile profile, GraphBuilder builder, Func<QuantizedLayerTensors, QuantizedLayerTensors>? change = null)
    {
        using OnnxFile file = OnnxFile.Open(_folder.Write("m.onnx", builder.Model));
        var graph = new GraphIndex(file.Graph, file.Path);
        var rewriter = new ModelRewriter(file, graph);
        rewriter.Require(profile);
        foreach (IGrouping<string, LinearLayer> stage in LinearLayerFinder.Find(graph, "logits")
            .Where(layer => !layer.IsHead)
            .GroupBy(layer => layer.Input))
        {
            rewriter.Replace([.. stage.Select(layer => change is null ? Tensors(layer) : change(Tensors(layer)))]);
        }

        using ModelWriter written = rewriter.Write(_folder.File("out.onnx"), profile, [], "zqfp.content", CancellationToken.None);
        written.Commit();
        return ModelProto.Parser.ParseFrom(File.ReadAllBytes(_folder.File("out.onnx")));
    }

    /// <summary>Codes 5i mod 16, row scales 1, 2, .., and two groups of 5 columns with k = 0 and 1.</summary>
    private static QuantizedLayerTensors Tensors(LinearLayer layer)
    {
        int count = layer.InFeatures * layer.OutFeatures;
        byte[] codes = new byte[(count + 1) / 2];
        for (int i = 0; i < count; i++)
        {
            codes[i / 2] |= (byte)((i * 5 % 16) << (4 * (i % 2)));
        }

        return new QuantizedLayerTensors
        {
            Layer = layer,
            CodesType = WeightCodes.Fp4E2M1,
            Codes = codes,
            GroupSize = 5,
            Exponents = Enumerable.Range(0, 2 * layer.OutFeatures).Select(i => (byte)(i % 2)).ToArray(),
            Scales = Enumerable.Range(1, layer.OutFeatures).Select(row => (float)row).ToArray(),
            Activations = ActivationRounding.Fp8,
        };
    }
}
