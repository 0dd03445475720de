namespace Zqfp.OnnxRewriter.Tests;

public sealed class ValueRankTests
{
    [Theory]
    [InlineData("Gather", 1)]
    [InlineData("Concat", 5)]
    [InlineData("Slice", 2)]
    [InlineData("SliceOfPart", 1)]
    [InlineData("Arithmetic", 3)]
    [InlineData("Open", null)]
    public void A_shape_that_is_put_together_tells_how_long_it_is(string form, int? rank)
    {
        GraphBuilder builder = new GraphBuilder().Input("x", 2, 3, 4).Shape("zero", 0).Shape("one", 1).Shape("two", 2).Shape("minus", -1)
            .Shape("ones", 1, 1, 1).Node("Shape", ["x"], "all").Node("NonZero", ["x"], "places");
        _ = form switch
        {
            "Gather" => builder.Node("Gather", ["all", "one"], "s"),
            "Concat" => builder.Node("Slice", ["all", "zero", "minus"], "leading")
                .Node("Concat", ["leading", "ones"], "s", GraphBuilder.Int("axis", 0)),
            "Slice" => builder.Node("Slice", ["all", "zero", "minus"], "s"),
            "SliceOfPart" => builder.Node("Slice", ["all", "two", "minus"], "none").Node("Concat", ["none", "one"], "s"),
            "Arithmetic" => builder.Node("Mul", ["all", "two"], "s"),
            _ => builder.Node("Squeeze", ["places"], "s"),
        };
        builder.Node("Reshape", ["x", "s"], "y").Output("y");
        builder.Graph.Output.Clear();
        Assert.Equal(rank, new GraphIndex(builder.Graph, "m.onnx").RankOf("y"));
    }

    [Fact]
    public void An_unknown_rank_stays_unknown_where_only_a_part_is_known() => Assert.Null(
        new GraphIndex(new GraphBuilder().Shape("one", 1).Input("x", 2, 3).Node("NonZero", ["x"], "p").Node("Squeeze", ["p"], "s")
            .Node("Expand", ["x", "s"], "e").Node("Add", ["e", "x"], "y").Graph, "m.onnx").RankOf("y"));
}
