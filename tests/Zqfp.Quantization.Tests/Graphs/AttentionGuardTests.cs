using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Guards of attention against rows that are masked as a whole.</summary>
public sealed class AttentionGuardTests
{
    private const int Heads = 2, Tokens = 3, Keys = 5, Width = 4;

    [Fact]
    public void A_guard_behind_the_product_gives_the_same_numbers_also_of_a_row_that_is_masked()
    {
        GraphProto guarded = Attention();
        GraphProto moved = Moved(guarded, isZero: true);
        Assert.Equal(["Softmax", "Constant", "Constant", "Constant", "Slice", "IsNaN", "MatMul", "Where"],
            moved.Node.Select(node => node.OpType));
        float[] expected = Run(guarded);
        Assert.Equal(expected, Run(moved));
        Assert.All(expected[..Width], value => Assert.Equal(0, value));
        Assert.DoesNotContain(expected, float.IsNaN);
    }

    [Theory]
    [InlineData("another number")]
    [InlineData("another axis")]
    [InlineData("read twice")]
    [InlineData("on the right")]
    public void A_guard_that_means_something_else_stays(string what)
    {
        GraphProto graph = Attention(what == "another axis" ? 1 : -1);
        if (what == "read twice")
        {
            graph.Node.Add(new NodeProto { OpType = "Identity", Input = { "p" }, Output = { "weights" } });
        }

        if (what == "on the right")
        {
            graph.Node[^1].Input.Clear();
            graph.Node[^1].Input.Add(["v", "p"]);
        }

        Assert.Equal(graph.Node, Moved(graph, isZero: what != "another number").Node);
    }

    private static GraphProto Moved(GraphProto graph, bool isZero)
    {
        GraphProto moved = graph.Clone();
        moved.Node.Clear();
        moved.Node.AddRange(AttentionGuards.Move(new FusedNodes([.. graph.Node], ["y"]), value => isZero && value == "zero"));
        return moved;
    }

    private static GraphProto Attention(int axis = -1) => new()
    {
        Name = "attention",
        Input = { Value("scores", Heads, Tokens, Keys), Value("v", Heads, Keys, Width) },
        Output = { Value("y", Heads, Tokens, Width) },
        Initializer = { new TensorProto { Name = "zero", DataType = (int)DataType.Float, FloatData = { 0 } } },
        Node =
        {
            new NodeProto
            {
                OpType = "Softmax",
                Input = { "scores" },
                Output = { "s" },
                Attribute = { FamilyNodes.Int("axis", axis) },
            },
            new NodeProto { OpType = "IsNaN", Input = { "s" }, Output = { "broken" } },
            new NodeProto { OpType = "Where", Input = { "broken", "zero", "s" }, Output = { "p" } },
            new NodeProto { OpType = "MatMul", Input = { "p", "v" }, Output = { "y" } },
        },
    };

    private static ValueInfoProto Value(string name, params long[] dims) => new()
    {
        Name = name,
        Type = new TypeProto
        {
            TensorType = new TypeProto.Types.Tensor
            {
                ElemType = (int)DataType.Float,
                Shape = new TensorShapeProto { Dim = { dims.Select(size => new TensorShapeProto.Types.Dimension { DimValue = size }) } },
            },
        },
    };

    private static float[] Run(GraphProto graph)
    {
        var model = new ModelProto
        {
            IrVersion = 10,
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 21 } },
        };
        float[] scores = [.. Enumerable.Range(0, Heads * Tokens * Keys).Select(i => i < Keys ? float.NegativeInfinity : MathF.Sin(i))];
        float[] values = [.. Enumerable.Range(0, Heads * Keys * Width).Select(i => MathF.Cos(i))];
        using var session = new InferenceSession(model.ToByteArray());
        using var run = new RunOptions();
        using var s = OrtValue.CreateTensorValueFromMemory(scores, [Heads, Tokens, Keys]);
        using var v = OrtValue.CreateTensorValueFromMemory(values, [Heads, Keys, Width]);
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, ["scores", "v"], [s, v], ["y"]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }
}
