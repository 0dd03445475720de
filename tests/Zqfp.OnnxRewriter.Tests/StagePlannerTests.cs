
namespace Zqfp.OnnxRewriter.Tests;

public sealed class StagePlannerTests
{
    [Fact]
    public void Groups_layers_that_read_the_same_value()
    {
        IReadOnlyList<CalibrationStage> stages = Plan(GraphBuilder.Decoder());
        Assert.Equal(["x", "sum", "residual"], stages.Select(stage => stage.Input));
        Assert.Equal(["n_xq", "n_xk"], stages[0].Layers.Select(layer => layer.Name));
    }

    [Fact]
    public void Recomputes_what_depends_on_no_layer_and_keeps_the_rest()
    {
        IReadOnlyList<CalibrationStage> stages = Plan(GraphBuilder.Decoder());
        Assert.Equal(["Gather"], stages[0].Nodes.Select(node => node.OpType));
        Assert.Empty(stages[0].Keeps);
        Assert.Contains(stages[1].Nodes, node => node.OpType == "Gather");
        Assert.Equal(["sum"], stages[1].Keeps);
        Assert.Equal(["sum"], stages[2].Reads);
        Assert.Equal(["sum"], stages[2].Drops);
    }

    [Fact]
    public void Runs_every_costly_node_once()
    {
        IReadOnlyList<CalibrationStage> stages = Plan(GraphBuilder.Decoder());
        string[] products = [.. stages.SelectMany(stage => stage.Nodes).Where(node => node.OpType == "MatMul").Select(node => node.Name)];
        Assert.Equal(products.Distinct(), products);
    }

    [Fact]
    public void A_value_already_kept_needs_no_slice()
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 2).Output("logits", 1, 2)
            .Weight("a", [2, 2]).Weight("b", [2, 2]).Weight("c", [2, 2])
            .Node("MatMul", ["x", "a"], "y")
            .Node("Relu", ["y"], "z")
            .Node("MatMul", ["z", "b"], "u")
            .Node("MatMul", ["y", "c"], "v")
            .Node("Add", ["u", "v"], "logits");
        IReadOnlyList<CalibrationStage> stages = Plan(builder);
        Assert.Equal(["x", "z", "y"], stages.Select(stage => stage.Input));
        Assert.Empty(stages[2].Nodes);
        Assert.Equal(["y"], stages[2].Reads);
    }

    [Fact]
    public void Other_values_can_be_observed_and_are_computed_once()
    {
        var graph = new GraphIndex(GraphBuilder.Decoder().Graph, "test.onnx");
        IReadOnlyList<LinearLayer> layers = LinearLayerFinder.Find(graph, "logits");
        IReadOnlyList<CalibrationStage> stages = StagePlanner.Plan(
            graph, layers, layers, "logits", stage => stage[0].Input == "sum" ? ["residual"] : [stage[0].Input]);
        Assert.Equal(["residual"], stages[1].Observes);
        Assert.Equal(["residual"], stages[1].Keeps);
        Assert.Empty(stages[2].Nodes);
        Assert.Equal(["residual"], stages[2].Reads);
    }

    private static IReadOnlyList<CalibrationStage> Plan(GraphBuilder builder)
    {
        var graph = new GraphIndex(builder.Graph, "test.onnx");
        IReadOnlyList<LinearLayer> layers = LinearLayerFinder.Find(graph, "logits");
        return StagePlanner.Plan(graph, layers, layers, "logits");
    }
}
