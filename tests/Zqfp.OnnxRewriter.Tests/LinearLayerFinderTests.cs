using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class LinearLayerFinderTests
{
    [Fact]
    public void Finds_products_with_constant_weights_in_running_order()
    {
        IReadOnlyList<LinearLayer> layers = Find(GraphBuilder.Decoder());
        Assert.Equal(["n_xq", "n_xk", "n_product", "n_logits"], layers.Select(layer => layer.Name));
    }

    [Fact]
    public void Sees_through_a_transpose_which_way_the_weight_is_stored()
    {
        IReadOnlyList<LinearLayer> layers = Find(GraphBuilder.Decoder());
        Assert.True(layers[0].StoredInputMajor);
        Assert.Equal((8, 6), (layers[0].InFeatures, layers[0].OutFeatures));
        Assert.False(layers[2].StoredInputMajor);
        Assert.Equal((6, 8), (layers[2].InFeatures, layers[2].OutFeatures));
    }

    [Fact]
    public void Takes_the_add_of_a_constant_vector_into_the_layer()
    {
        LinearLayer layer = Find(GraphBuilder.Decoder())[2];
        Assert.Equal("o_bias", layer.Bias);
        Assert.Equal("attended", layer.Output);
        Assert.Equal(2, layer.Nodes.Count);
    }

    [Fact]
    public void Leaves_an_add_that_is_no_bias()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 2).Output("logits", 1, 2).Weight("w", [2, 2]).Weight("c", [1])
            .Node("MatMul", ["x", "w"], "y").Node("Add", ["y", "c"], "logits");
        Assert.Null(Assert.Single(Find(builder)).Bias);
    }

    [Fact]
    public void Marks_the_head_and_the_weight_it_shares_with_the_embedding()
    {
        IReadOnlyList<LinearLayer> layers = Find(GraphBuilder.Decoder());
        Assert.Equal([false, false, false, true], layers.Select(layer => layer.IsHead));
        Assert.Equal([false, false, false, true], layers.Select(layer => layer.IsTied));
    }

    [Fact]
    public void Leaves_products_of_two_activations_alone()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 2, 2).Output("logits", 2, 2).Node("MatMul", ["x", "x"], "logits");
        Assert.Empty(Find(builder));
    }

    [Theory]
    [InlineData(0, true, 2, 3)]
    [InlineData(1, false, 3, 2)]
    public void Reads_a_gemm_with_and_without_transposed_weight(long transB, bool storedInputMajor, int inFeatures, int outFeatures)
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, inFeatures).Output("logits", 1, outFeatures)
            .Weight("w", [2, 3]).Weight("b", [outFeatures])
            .Node("Gemm", ["x", "w", "b"], "logits", GraphBuilder.Int("transB", transB));
        LinearLayer layer = Assert.Single(Find(builder));
        Assert.Equal((storedInputMajor, inFeatures, outFeatures, "b"),
            (layer.StoredInputMajor, layer.InFeatures, layer.OutFeatures, layer.Bias));
    }

    [Fact]
    public void Leaves_a_gemm_that_scales_its_product()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 2).Output("logits", 1, 2).Weight("w", [2, 2])
            .Node("Gemm", ["x", "w"], "logits",
                new AttributeProto { Name = "alpha", F = 0.5f, Type = AttributeProto.Types.AttributeType.Float });
        Assert.Empty(Find(builder));
    }

    [Theory]
    [InlineData(DataType.Float)]
    [InlineData(DataType.Float16)]
    internal void Reads_a_weight_output_major_however_it_is_stored(DataType type)
    {
        float[] values = [.. Enumerable.Range(0, 200 * 3).Select(i => (float)(i % 101))];
        using var folder = new TemporaryFolder();
        ModelProto model = new GraphBuilder()
            .Input("x", 1, 200)
            .Output("logits", 1, 3)
            .Weight("w", [200, 3], values, type)
            .Node("MatMul", ["x", "w"], "logits").Model;
        using OnnxFile file = OnnxFile.Open(folder.Write("m.onnx", model));
        var graph = new GraphIndex(file.Graph, file.Path);
        float[] weight = WeightReader.Read(file, Assert.Single(LinearLayerFinder.Find(graph, "logits")));
        for (int n = 0; n < 3; n++)
        {
            for (int k = 0; k < 200; k++)
            {
                Assert.Equal(values[(k * 3) + n], weight[(n * 200) + k]);
            }
        }
    }

    [Fact]
    public void Sees_a_weight_through_reshape_cast_identity_and_transpose()
    {
        float[] values = [.. Enumerable.Range(0, 24).Select(i => (float)i)];
        GraphBuilder builder = new GraphBuilder()
            .Input("x", 1, 6)
            .Output("logits", 1, 4)
            .Weight("w", [2, 2, 6], values, DataType.Float16)
            .Shape("shape", -1, 6)
            .Node("Reshape", ["w", "shape"], "matrix").Node("Identity", ["matrix"], "same")
            .Node("Cast", ["same"], "wide", GraphBuilder.Int("to", (long)DataType.Float))
            .Node("Transpose", ["wide"], "turned", GraphBuilder.Ints("perm", 1, 0)).Node("MatMul", ["x", "turned"], "logits");
        LinearLayer layer = Assert.Single(Find(builder));
        Assert.Equal(
            ("w", 6, 4, false, DataType.Float), (layer.Weight, layer.InFeatures, layer.OutFeatures, layer.StoredInputMajor, layer.Type));
        Assert.Equal(values, Read(builder));
    }

    [Theory]
    [InlineData(5, -1)]
    [InlineData(7, 4)]
    [InlineData(-1, -1)]
    public void Leaves_a_weight_whose_shape_cannot_be_told(long rows, long columns)
    {
        GraphBuilder builder = new GraphBuilder()
            .Input("x", 1, 6)
            .Output("logits", 1, 4)
            .Weight("w", [2, 2, 6])
            .Shape("shape", rows, columns)
            .Node("Reshape", ["w", "shape"], "matrix").Node("MatMul", ["x", "matrix"], "logits");
        Assert.Empty(Find(builder));
    }

    [Fact]
    public void Takes_a_weight_that_is_reshaped_after_it_was_turned_as_a_computed_one()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 6).Output("logits", 1, 4).Weight("w", [3, 8]).Shape("shape", 6, 4)
            .Node("Transpose", ["w"], "turned").Node("Reshape", ["turned", "shape"], "matrix").Node("MatMul", ["x", "matrix"], "logits");
        LinearLayer layer = Assert.Single(Find(builder));
        Assert.Equal(("matrix", 6, 4, true), (layer.Weight, layer.InFeatures, layer.OutFeatures, layer.StoredInputMajor));
    }

    [Fact]
    public void Takes_a_weight_from_a_Constant_node()
    {
        var tensor = new TensorProto { DataType = (int)DataType.Float, Dims = { 2, 3 }, FloatData = { 1, 2, 3, 4, 5, 6 } };
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 2).Output("logits", 1, 3)
            .Node("Constant", [], "w", new AttributeProto { Name = "value", T = tensor, Type = AttributeProto.Types.AttributeType.Tensor })
            .Node("MatMul", ["x", "w"], "logits");
        Assert.Equal("w", Assert.Single(Find(builder)).Weight);
        Assert.Equal([1, 4, 2, 5, 3, 6], Read(builder));
    }

    [Fact]
    public void Reads_int8_codes_with_one_scale_for_all()
    {
        GraphBuilder builder = Dequantized(DataType.Int8, [2, 2], [1, 0xFF, 0x80, 0x7F], [], [0.5f]);
        Assert.Equal([0.5f, -64, -0.5f, 63.5f], Read(builder));
        Assert.Equal(DataType.Float, Assert.Single(Find(builder)).Type);
    }

    [Theory]
    [InlineData(0, new float[] { 1, 30, 2, 40 })]
    [InlineData(1, new float[] { 1, 3, 20, 40 })]
    [InlineData(-1, new float[] { 1, 3, 20, 40 })]
    public void Reads_int8_codes_with_a_scale_for_each_position_of_an_axis(long axis, float[] expected) =>
        Assert.Equal(expected, Read(Dequantized(DataType.Int8, [2, 2], [1, 2, 3, 4], [2], [1, 10], GraphBuilder.Int("axis", axis))));

    [Fact]
    public void Reads_int4_codes_in_blocks_along_the_first_axis() =>

        // Codes [3, 2]: 1 2 / 3 -1 / -8 7. Blocks of 2 rows: scales 1 and 10 for rows 0 and 1, 100 and 1000 for row 2.
        Assert.Equal(
            [1, 3, -800, 20, -10, 7000],
            Read(Dequantized(DataType.Int4, [3, 2], [0x21, 0xF3, 0x78], [2, 2], [1, 10, 100, 1000], GraphBuilder.Int("axis", 0),
                GraphBuilder.Int("block_size", 2))));

    [Fact]
    public void Reads_uint4_codes_in_blocks_with_zero_points()
    {
        // Codes [2, 3]: 1 2 3 / 15 0 8. Blocks of 2 columns, zero points 0 1 / 8 8.
        GraphBuilder builder = Dequantized(DataType.Uint4, [2, 3], [0x21, 0xF3, 0x80], [2, 2], [1, 10, 2, 20],
            GraphBuilder.Int("axis", 1), GraphBuilder.Int("block_size", 2))
            .Raw("zero", DataType.Uint4, [2, 2], 0x10, 0x88);
        builder.Graph.Node[0].Input.Add("zero");
        Assert.Equal([1, 14, 2, -16, 20, 0], Read(builder));
    }

    [Fact]
    public void Leaves_dequantized_codes_whose_scales_fit_nothing() =>
        Assert.Empty(Find(Dequantized(DataType.Int8, [2, 2], [1, 2, 3, 4], [3], [1, 2, 3])));

    [Fact]
    public void An_embedding_tied_through_a_transpose_is_tied()
    {
        GraphBuilder builder = new GraphBuilder().Input("ids", 1, 4).Output("logits", 1, 4, 10).Weight("w", [8, 10])
            .Node("Transpose", ["w"], "table").Node("Gather", ["table", "ids"], "x").Node("MatMul", ["x", "w"], "logits");
        Assert.True(Assert.Single(Find(builder)).IsTied);
    }

    [Theory]
    [InlineData("['', 'm', 'm.layers.0', 'm.layers.0.q_proj', 'linear_3']", "m.layers.0.q_proj")]
    [InlineData("['linear_3']", null)]
    [InlineData("['', 'linear_3']", null)]
    [InlineData("", null)]
    public void The_module_is_what_the_exporter_wrote_last_before_the_node(string scopes, string? module)
    {
        GraphBuilder builder = GraphBuilder.Decoder();
        builder.Graph.Node[1].MetadataProps.Add(new StringStringEntryProto { Key = "pkg.torch.onnx.name_scopes", Value = scopes });
        Assert.Equal([module, null, null, null], Find(builder).Select(layer => layer.Module));
    }

    [Fact]
    public void A_packed_projection_is_one_layer()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 4).Output("logits", 1, 4).Weight("qkv", [4, 12]).Weight("head", [4, 4])
            .Node("MatMul", ["x", "qkv"], "packed").Node("Split", ["packed"], "q", GraphBuilder.Int("axis", -1),
                GraphBuilder.Int("num_outputs", 3));
        builder.Graph.Node[1].Output.Add(["k", "v"]);
        builder.Node("Mul", ["q", "k"], "scores").Node("Add", ["scores", "v"], "mixed").Node("MatMul", ["mixed", "head"], "logits");
        Assert.Equal([("n_packed", 12), ("n_logits", 4)], Find(builder).Select(layer => (layer.Name, layer.OutFeatures)));
    }

    private static GraphBuilder Dequantized(
        DataType type, long[] dims, byte[] codes, long[] scaleDims, float[] scales, params AttributeProto[] attributes) =>
        new GraphBuilder()
            .Input("x", 1, dims[0])
            .Output("logits", 1, dims[1])
            .Raw("codes", type, dims, codes)
            .Weight("scales", scaleDims, scales)
            .Node("DequantizeLinear", ["codes", "scales"], "w", attributes).Node("MatMul", ["x", "w"], "logits");

    /// <summary>The only layer's weight [N, K].</summary>
    private static float[] Read(GraphBuilder builder)
    {
        using var folder = new TemporaryFolder();
        using OnnxFile file = OnnxFile.Open(folder.Write("m.onnx", builder.Model));
        var graph = new GraphIndex(file.Graph, file.Path);
        return WeightReader.Read(file, Assert.Single(LinearLayerFinder.Find(graph, "logits")));
    }

    private static IReadOnlyList<LinearLayer> Find(GraphBuilder builder) =>
        LinearLayerFinder.Find(new GraphIndex(builder.Graph, "test.onnx"), "logits");
}
