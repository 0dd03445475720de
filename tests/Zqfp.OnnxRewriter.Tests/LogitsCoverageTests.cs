
namespace Zqfp.OnnxRewriter.Tests;

public sealed class LogitsCoverageTests
{
    [Fact]
    public void A_whole_decoder_covers_every_token() => Assert.Null(Refusal(GraphBuilder.Decoder()));

    [Theory]
    [InlineData(1L, 1L, 10L)]
    [InlineData(1L, 10L)]
    public void A_shape_of_one_token_is_seen(params long[] dims) =>
        Assert.Contains("declared as [1, ", Refusal(Pruned("Identity", dims)), StringComparison.Ordinal);

    [Theory]
    [InlineData("Gather", true)]
    [InlineData("Slice", true)]
    [InlineData("SliceAll", false)]
    public void A_node_that_picks_tokens_before_the_head_is_seen(string pruning, bool isSeen)
    {
        string? refusal = Refusal(Pruned(pruning, [1, 4, 10]));
        Assert.Equal(isSeen, refusal is not null);
        Assert.True(refusal is null || refusal.Contains($"node 'n_picked' ({pruning}) picks tokens", StringComparison.Ordinal));
    }

    private static GraphBuilder Pruned(string pruning, long[] dims)
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 1, 4, 8).Output("logits", dims).Weight("w", [8, 8]).Weight("head", [8, 10])
            .Shape("last", -1).Shape("first", 0).Shape("end", long.MaxValue).Shape("axis", 1)
            .Node("MatMul", ["x", "w"], "hidden");
        _ = pruning switch
        {
            "Gather" => builder.Node("Gather", ["hidden", "last"], "picked", GraphBuilder.Int("axis", 1)),
            "Slice" => builder.Node("Slice", ["hidden", "last", "end", "axis"], "picked"),
            "SliceAll" => builder.Node("Slice", ["hidden", "first", "end", "axis"], "picked"),
            _ => builder.Node("Identity", ["hidden"], "picked"),
        };
        return builder.Node("MatMul", ["picked", "head"], "logits");
    }

    private static string? Refusal(GraphBuilder builder)
    {
        var graph = new GraphIndex(builder.Graph, "m.onnx");
        return LogitsCoverage.Refusal(graph, LinearLayerFinder.Find(graph, "logits"), "logits");
    }
}
