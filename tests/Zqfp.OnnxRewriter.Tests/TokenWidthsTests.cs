using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;
using static Zqfp.OnnxRewriter.Tests.GraphBuilder;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class TokenWidthsTests
{
    private const int Hidden = 8;
    private const int Inner = 12;

    [Fact]
    public void Widths_follow_products_sums_casts_and_norms()
    {
        TokenWidths widths = Widths(Start()
            .Weight("a", [Hidden, Hidden], type: DataType.Float16)
            .Weight("b", [Hidden, Hidden], type: DataType.Float16)
            .Raw("epsilon", DataType.Float, [], 0, 0, 0, 1)
            .Node("MatMul", ["x", "a"], "xa")
            .Node("MatMul", ["x", "b"], "xb")
            .Node("Add", ["xa", "xb"], "sum")
            .Node("Cast", ["sum"], "wide", Int("to", (long)DataType.Float))
            .Node("Mul", ["wide", "wide"], "squares")
            .Node("ReduceMean", ["squares"], "mean", Ints("axes", -1))
            .Node("Add", ["mean", "epsilon"], "positive")
            .Node("Sqrt", ["positive"], "root")
            .Node("Div", ["wide", "root"], "normal")
            .Node("Cast", ["normal"], "normed", Int("to", (long)DataType.Float16)));
        foreach (string value in (string[])["x", "xa", "sum", "wide", "squares", "normal", "normed"])
        {
            Assert.Equal(TokenWidth.Row(Hidden), widths.Of(value));
        }

        Assert.Equal(TokenWidth.Row(1), widths.Of("root"));
    }

    [Fact]
    public void What_a_layer_reads_tells_what_was_multiplied_for_it()
    {
        TokenWidths widths = Widths(Start()
            .Weight("down", [Inner, Hidden], type: DataType.Float16)
            .Node("Unknown", ["x"], "gate")
            .Node("Unknown", ["x"], "up")
            .Node("Mul", ["gate", "up"], "gated")
            .Shape("rows", 1, -1, Inner)
            .Node("Reshape", ["gated", "rows"], "read")
            .Node("MatMul", ["read", "down"], "fed"));
        Assert.Equal(Inner, widths.Of("gate")?.Numbers);
        Assert.Equal(Inner, widths.Of("up")?.Numbers);
        Assert.Equal(TokenWidth.Row(Hidden), widths.Of("fed"));
    }

    [Fact]
    public void Queries_keys_and_values_of_one_product_are_told_apart()
    {
        TokenWidths widths = Widths(Start()
            .Weight("qkv", [Hidden, 2 * Hidden], type: DataType.Float16)
            .Shape("sizes", Hidden, Hidden / 2, Hidden / 2)
            .Node("MatMul", ["x", "qkv"], "packed")
            .Node("GroupQueryAttention", ["packed", "", ""], "attended", Int("num_heads", 4), Int("kv_num_heads", 2))
            .Node("Split", ["packed", "sizes"], "q", Int("axis", -1))
            .Also("k", "v")
            .Node("GroupQueryAttention", ["q", "k", "v"], "apart", Int("num_heads", 4), Int("kv_num_heads", 2)));
        Assert.Equal(TokenWidth.Row(2 * Hidden), widths.Of("packed"));
        Assert.Equal(TokenWidth.Row(Hidden), widths.Of("attended"));
        Assert.Equal(TokenWidth.Row(Hidden), widths.Of("q"));
        Assert.Equal(TokenWidth.Row(Hidden / 2), widths.Of("v"));
        Assert.Equal(TokenWidth.Row(Hidden), widths.Of("apart"));
    }

    [Fact]
    public void A_router_chooses_as_many_as_it_says()
    {
        TokenWidths widths = Widths(Start()
            .Weight("router", [Hidden, 16], type: DataType.Float16)
            .Shape("two", 2)
            .Shape("expert", 3)
            .Node("MatMul", ["x", "router"], "routing")
            .Node("TopK", ["routing", "two"], "best")
            .Also("index")
            .Node("Equal", ["index", "expert"], "is")
            .Node("NonZero", ["is"], "places")
            .Node("Gather", ["places", "expert"], "rows"));
        Assert.Equal(TokenWidth.Row(2), widths.Of("index"));
        Assert.Equal(TokenWidth.Row(2), widths.Of("is"));
        Assert.Equal(2 * 3, widths.Of("rows")?.Numbers);
    }

    [Fact]
    public void Scores_and_what_crosses_dimensions_are_not_known()
    {
        TokenWidths widths = Widths(Start()
            .Weight("w", [Hidden, Hidden], type: DataType.Float16)
            .Shape("heads", 1, -1, 2, Hidden / 2)
            .Node("MatMul", ["x", "w"], "q")
            .Node("Reshape", ["q", "heads"], "split")
            .Node("Transpose", ["split"], "left", Ints("perm", 0, 2, 1, 3))
            .Node("Transpose", ["split"], "right", Ints("perm", 0, 2, 3, 1))
            .Node("MatMul", ["left", "right"], "scores")
            .Node("Softmax", ["scores"], "weights")
            .Node("Add", ["left", "split"], "crossed"));
        Assert.Equal(new TokenWidth(Hidden, Hidden / 2), widths.Of("left"));
        Assert.Equal(new TokenWidth(Hidden, null), widths.Of("right"));
        Assert.All((string[])["scores", "weights", "crossed"], value => Assert.Null(widths.Of(value)));
    }

    private static GraphBuilder Start() => new GraphBuilder()
        .Input("ids", 1, 4)
        .Weight("embedding", [10, Hidden], type: DataType.Float16)
        .Node("Gather", ["embedding", "ids"], "x");

    private static TokenWidths Widths(GraphBuilder builder)
    {
        NodeProto last = builder.Graph.Node[^1];
        builder.Graph.Output.Add(new ValueInfoProto { Name = last.Output[0] });
        var graph = new GraphIndex(builder.Graph, "model.onnx");
        return new TokenWidths(graph, LinearLayerFinder.Find(graph, last.Output[0]));
    }
}
