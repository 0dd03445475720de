namespace Zqfp.OnnxRewriter.Tests;

public sealed class OverlookedProductTests
{
    [Fact]
    public void The_matrices_inside_a_recurrent_operator_are_named()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 4, 1, 8).Output("logits", 4, 1, 10)
            .Weight("w", [1, 32, 8]).Weight("r", [1, 32, 8]).Weight("head", [8, 10]).Shape("direction", 1)
            .Node("LSTM", ["x", "w", "r"], "all", GraphBuilder.Int("hidden_size", 8))
            .Node("Squeeze", ["all", "direction"], "hidden")
            .Node("MatMul", ["hidden", "head"], "logits");
        var graph = new GraphIndex(builder.Graph, "m.onnx");
        IReadOnlyList<OverlookedProduct> found =
            OverlookedProduct.Find(graph, LinearLayerFinder.Find(graph, "logits"), "logits", []);
        Assert.Equal(["w", "r"], found.Select(product => product.Weight.Name));
        Assert.All(found, product => Assert.Equal("the projection inside a fused LSTM", product.Reason));
    }
}
