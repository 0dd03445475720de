using Zqfp.OnnxRewriter.Graphs;
using Zqfp.OnnxRewriter.Layers;
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
        Assert.Equal((storedInputMajor, inFeatures, outFeatures, "b"), (layer.StoredInputMajor, layer.InFeatures, layer.OutFeatures, layer.Bias));
    }

    [Fact]
    public void Leaves_a_gemm_that_scales_its_product()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 2).Output("logits", 1, 2).Weight("w", [2, 2])
            .Node("Gemm", ["x", "w"], "logits", new AttributeProto { Name = "alpha", F = 0.5f, Type = AttributeProto.Types.AttributeType.Float });
        Assert.Empty(Find(builder));
    }

    [Theory]
    [InlineData(DataType.Float)]
    [InlineData(DataType.Float16)]
    public void Reads_a_weight_output_major_however_it_is_stored(DataType type)
    {
        float[] values = [.. Enumerable.Range(0, 200 * 3).Select(i => (float)(i % 101))];
        using var folder = new TemporaryFolder();
        ModelProto model = new GraphBuilder().Input("x", 1, 200).Output("logits", 1, 3).Weight("w", [200, 3], values, type).Node("MatMul", ["x", "w"], "logits").Model;
        using OnnxFile file = OnnxFile.Open(folder.Write("m.onnx", model));
        var graph = new GraphIndex(file.Graph, file.Path);
        float[] weight = WeightReader.Read(file, graph, Assert.Single(LinearLayerFinder.Find(graph, "logits")));
        for (int n = 0; n < 3; n++)
        {
            for (int k = 0; k < 200; k++)
            {
                Assert.Equal(values[(k * 3) + n], weight[(n * 200) + k]);
            }
        }
    }

    private static IReadOnlyList<LinearLayer> Find(GraphBuilder builder) =>
        LinearLayerFinder.Find(new GraphIndex(builder.Graph, "test.onnx"), "logits");
}
