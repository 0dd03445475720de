using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class ResidualJoinTests
{
    [Fact]
    public void A_bias_stands_between_the_product_and_the_stream() =>
        Assert.Equal(new ResidualJoin("x", "residual"), Find(GraphBuilder.Decoder(), "product"));

    [Theory]
    [InlineData("Cast")]
    [InlineData("Identity")]
    [InlineData("Reshape")]
    public void What_keeps_the_numbers_may_stand_between(string op)
    {
        GraphBuilder builder = Stem().Shape("shape", 1, 2).Node(op, op == "Reshape" ? ["y", "shape"] : ["y"], "turned").Node(
            "Add", ["stream", "turned"], "logits");
        Assert.Equal(new ResidualJoin("stream", "logits"), Find(builder, "y"));
    }

    [Theory]
    [InlineData("Relu")]
    [InlineData("Neg")]
    public void What_changes_them_may_not(string op) =>
        Assert.Null(Find(Stem().Node(op, ["y"], "turned").Node("Add", ["stream", "turned"], "logits"), "y"));

    [Fact]
    public void An_output_with_another_reader_is_more_than_a_part_of_the_stream() =>
        Assert.Null(Find(Stem().Node("Add", ["stream", "y"], "sum").Node("Mul", ["sum", "y"], "logits"), "y"));

    [Fact]
    public void A_layer_of_the_same_stage_makes_no_stream() =>
        Assert.Null(Find(Stem().Weight("b", [2, 2]).Node("MatMul", ["stream", "b"], "z").Node("Add", ["z", "y"], "logits"), "y"));

    [Fact]
    public void A_constant_is_no_stream() =>
        Assert.Null(Find(Stem().Weight("c", [1, 2, 2]).Node("Add", ["c", "y"], "logits"), "y"));

    [Fact]
    public void An_addition_fused_with_the_norm_gives_the_sum_as_its_fourth_output()
    {
        GraphBuilder builder = Stem().Weight("gamma", [2]);
        var fused = new NodeProto
        {
            OpType = "SkipSimplifiedLayerNormalization",
            Domain = "com.microsoft",
            Input = { "stream", "y", "gamma" },
            Output = { "normed", "", "", "sum" },
        };
        builder.Graph.Node.Add(fused);
        builder.Node("Add", ["normed", "sum"], "logits");
        Assert.Equal(new ResidualJoin("stream", "sum"), Find(builder, "y"));
        fused.Output[3] = "";
        builder.Graph.Node[^1].Input[1] = "normed";
        Assert.Null(Find(builder, "y"));
    }

    // x -> stream -> y = stream a
    private static GraphBuilder Stem() => new GraphBuilder().Input("x", 1, 2).Output("logits", 1, 2).Weight("a", [2, 2])
        .Node("Relu", ["x"], "stream").Node("MatMul", ["stream", "a"], "y");

    private static ResidualJoin? Find(GraphBuilder builder, string output)
    {
        var graph = new GraphIndex(builder.Graph, "test.onnx");
        IReadOnlyList<LinearLayer> layers = LinearLayerFinder.Find(graph, "logits");
        LinearLayer layer = layers.Single(layer => layer.Nodes[0].Output[0] == output);
        HashSet<NodeProto> notYet = [.. layers.Where(other => other.Input == layer.Input).SelectMany(other => other.Nodes)];
        return ResidualJoin.Find(graph, layer, notYet);
    }
}
