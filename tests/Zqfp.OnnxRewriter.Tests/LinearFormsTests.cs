using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class LinearFormsTests
{
    [Fact]
    public void A_MatMul_with_its_weight_on_the_left_becomes_a_layer_between_two_transpositions()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 2, 3, 4).Output("logits", 2, 5, 4).Weight("w", [5, 3]).Node(
            "MatMul", ["w", "x"], "logits");
        GraphIndex turned = LinearForms.Plain(new GraphIndex(builder.Graph, "m.onnx"), "m.onnx");
        Assert.Equal(["Transpose", "Transpose", "MatMul", "Transpose"], turned.Nodes.Select(node => node.OpType));
        Assert.Equal([0, 2, 1], turned.Nodes[0].Attribute.Single().Ints);
        LinearLayer layer = Assert.Single(LinearLayerFinder.Find(turned, "logits"));
        Assert.Equal(
            ("n_logits", "w", 3, 5, false), (layer.Name, layer.Weight, layer.InFeatures, layer.OutFeatures, layer.StoredInputMajor));
        Assert.Equal("MatMul", Assert.Single(builder.Graph.Node).OpType);
    }

    [Theory]
    [InlineData(0, 0, new[] { "Transpose", "Transpose", "MatMul", "Transpose" })]
    [InlineData(1, 0, new[] { "Transpose", "MatMul", "Transpose" })]
    [InlineData(0, 1, new[] { "Transpose", "MatMul", "Transpose" })]
    public void A_Gemm_is_turned_whichever_side_it_transposes(long transA, long transB, string[] expected)
    {
        GraphBuilder builder = new GraphBuilder()
            .Input("x", transB == 0 ? [3, 4] : [4, 3])
            .Output("logits", 5, 4)
            .Weight("w", transA == 0 ? [5, 3] : [3, 5])
            .Node("Gemm", ["w", "x"], "logits", GraphBuilder.Int("transA", transA), GraphBuilder.Int("transB", transB));
        GraphIndex turned = LinearForms.Plain(new GraphIndex(builder.Graph, "m.onnx"), "m.onnx");
        Assert.Equal(expected, turned.Nodes.Select(node => node.OpType));
        LinearLayer layer = Assert.Single(LinearLayerFinder.Find(turned, "logits"));
        Assert.Equal((3, 5, transA != 0), (layer.InFeatures, layer.OutFeatures, layer.StoredInputMajor));
    }

    [Fact]
    public void What_is_of_unknown_rank_or_constant_on_both_sides_stays()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 3, 4).Output("logits", 5, 4).Weight("w", [5, 3]).Weight("v", [3, 3])
            .Node("Compress", ["x", "x"], "unknown").Node("MatMul", ["w", "unknown"], "a").Node("MatMul", ["v", "v"], "b").Node(
                "Add", ["a", "b"], "logits");
        var graph = new GraphIndex(builder.Graph, "m.onnx");
        Assert.Same(graph, LinearForms.Plain(graph, "m.onnx"));
    }

    /// <summary>Positions times frequencies: nothing is summed, and nothing is gained by codes.</summary>
    [Theory]
    [InlineData("right", "MatMul", new long[] { 4, 1 }, new long[] { 1, 6 })]
    [InlineData("right in 3 dimensions", "MatMul", new long[] { 2, 4, 1 }, new long[] { 1, 1, 6 })]
    [InlineData("left", "MatMul", new long[] { 1, 6 }, new long[] { 4, 1 })]
    [InlineData("left in 3 dimensions", "MatMul", new long[] { 2, 1, 6 }, new long[] { 1, 4, 1 })]
    [InlineData("Gemm", "Gemm", new long[] { 4, 1 }, new long[] { 1, 6 })]
    [InlineData("Gemm on the left", "Gemm", new long[] { 1, 6 }, new long[] { 4, 1 })]
    [InlineData("stack on the right", "MatMul", new long[] { 4, 1 }, new long[] { 3, 1, 6 })]
    [InlineData("stack on the left", "MatMul", new long[] { 3, 1, 6 }, new long[] { 3, 4, 1 })]
    [InlineData("scaled", "FusedMatMul", new long[] { 4, 1 }, new long[] { 1, 6 })]
    public void A_product_of_one_input_is_no_layer(string side, string op, long[] activation, long[] weight)
    {
        bool isLeft = side.Contains("left", StringComparison.Ordinal);
        GraphBuilder builder = new GraphBuilder().Input("x", activation).Output("logits", 1).Weight("w", weight)
            .Node(op, isLeft ? ["w", "x"] : ["x", "w"], "logits");
        if (op == "FusedMatMul")
        {
            builder.Graph.Node[0].Domain = "com.microsoft";
            builder.Graph.Node[0].Attribute.Add(
                new AttributeProto { Name = "alpha", F = 2, Type = AttributeProto.Types.AttributeType.Float });
        }

        var graph = new GraphIndex(builder.Graph, "m.onnx");
        GraphIndex plain = LinearForms.Plain(graph, "m.onnx");
        Assert.Same(graph, plain);
        Assert.Empty(LinearLayerFinder.Find(plain, "logits"));
    }
}
