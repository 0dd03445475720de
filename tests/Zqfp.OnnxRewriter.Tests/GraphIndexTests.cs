using System.Diagnostics;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class GraphIndexTests
{
    [Fact]
    public void Nodes_in_running_order_stay_as_they_are()
    {
        GraphBuilder builder = GraphBuilder.Decoder();
        Assert.Equal(builder.Graph.Node, new GraphIndex(builder.Graph, "m.onnx").Nodes);
    }

    [Fact]
    public void A_hundred_thousand_nodes_in_reverse_order_are_sorted_in_seconds()
    {
        const int Count = 100_000;
        GraphBuilder builder = new GraphBuilder().Input("v0", 1);
        for (int i = Count; i > 0; i--)
        {
            builder.Node("Relu", [$"v{i - 1}"], $"v{i}");
        }

        long start = Stopwatch.GetTimestamp();
        var graph = new GraphIndex(builder.Graph, "m.onnx");
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 20);
        Assert.Equal(Enumerable.Range(1, Count).Select(i => $"v{i}"), graph.Nodes.Select(node => node.Output[0]));
    }
}
