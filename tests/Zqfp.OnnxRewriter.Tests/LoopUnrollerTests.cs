using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Tests;

/// <summary>Loops with products in their bodies.</summary>
public sealed class LoopUnrollerTests
{
    [Fact]
    public void A_loop_that_runs_a_fixed_number_of_times_is_written_out()
    {
        ModelProto model = Model();
        PlainModel.Make(model);
        GraphProto graph = model.Graph;
        Assert.Equal(["MatMul", "Identity", "Identity", "MatMul", "Identity", "Identity", "MatMul", "Identity", "Identity", "Identity",
            "Identity"], graph.Node.Select(node => node.OpType));
        NodeProto[] products = [.. graph.Node.Where(node => node.OpType == "MatMul")];
        Assert.Equal("x", products[0].Input[0]);
        Assert.Equal(3, products.Select(node => node.Name).Distinct().Count());
        Assert.Single(products.Select(node => node.Input[1]).Distinct());

        // The two carried values change places each time; what was last first is the loop's second output.
        Assert.Equal(["y", "z"], graph.Node.TakeLast(2).SelectMany(node => node.Output));
        var index = new GraphIndex(graph, "m.onnx");
        Assert.Equal(3, LinearLayerFinder.Find(index, "y").Count + LinearLayerFinder.Find(index, "z").Count);
    }

    [Theory]
    [InlineData("count")]
    [InlineData("condition")]
    [InlineData("collected")]
    [InlineData("no product")]
    public void Other_loops_stay(string why)
    {
        ModelProto model = Model();
        NodeProto loop = model.Graph.Node[0];
        GraphProto body = loop.Attribute[0].G;
        switch (why)
        {
            case "count":
                loop.Input[0] = "x";
                break;
            case "condition":
                body.Node[1].OpType = "Not";
                break;
            case "collected":
                body.Output.Add(new ValueInfoProto { Name = "product" });
                loop.Output.Add("all");
                break;
            default:
                body.Node[0].OpType = "Add";
                break;
        }

        PlainModel.Make(model);
        Assert.Equal("Loop", Assert.Single(model.Graph.Node).OpType);
    }

    /// <summary>Carries a and b: a becomes b, and b becomes a times a constant of the body.</summary>
    private static ModelProto Model()
    {
        GraphProto body = new() { Name = "body" };
        body.Input.Add(new[] { "i", "goes", "a", "b" }.Select(name => new ValueInfoProto { Name = name }));
        body.Output.Add(new[] { "goes_on", "next_a", "product" }.Select(name => new ValueInfoProto { Name = name }));
        body.Initializer.Add(new TensorProto { Name = "w", DataType = (int)DataType.Float, Dims = { 2, 2 }, FloatData = { 1, 2, 3, 4 } });
        body.Node.Add(new NodeProto { OpType = "MatMul", Name = "multiply", Input = { "a", "w" }, Output = { "product" } });
        body.Node.Add(new NodeProto { OpType = "Identity", Name = "on", Input = { "goes" }, Output = { "goes_on" } });
        body.Node.Add(new NodeProto { OpType = "Identity", Name = "next", Input = { "b" }, Output = { "next_a" } });
        GraphBuilder builder = new GraphBuilder().Input("x", 2, 2).Output("y", 2, 2).Output("z", 2, 2);
        builder.Graph.Initializer.Add(new TensorProto { Name = "count", DataType = (int)DataType.Int64, Int64Data = { 3 } });
        builder.Graph.Node.Add(new NodeProto
        {
            OpType = "Loop",
            Name = "loop",
            Input = { "count", "", "x", "x" },
            Output = { "y", "z" },
            Attribute = { new AttributeProto { Name = "body", G = body, Type = AttributeProto.Types.AttributeType.Graph } },
        });
        return new ModelProto
        {
            IrVersion = 10,
            Graph = builder.Graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 21 } },
        };
    }
}
