using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Products of experts as exporters spell them: each becomes one product for experts that computes the same.</summary>
public sealed class ExpertFormTests : IDisposable
{
    private const int Experts = 3, Rows = 5, Columns = 4, Tokens = 6;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;
    private readonly GraphProto _graph = new() { Name = "form" };
    private readonly Random _random = new(3);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("GatherOnTheLeft")]
    [InlineData("GatherOnTheRight")]
    [InlineData("GatherNDTransposed")]
    [InlineData("TransposedBeforeGather")]
    [InlineData("OneRowForTwoExperts")]
    [InlineData("IntegersOf32Bits")]
    [InlineData("AllAtOnceOnTheRight")]
    [InlineData("AllAtOnceOnTheLeft")]
    [InlineData("CodesOf8Bits")]
    public void Every_form_is_one_product_for_experts_and_computes_the_same(string form)
    {
        Input("x", DataType.Float, Tokens, Columns);
        Input("index", DataType.Int64, Tokens);
        Build(form);
        _graph.Output.Add(new ValueInfoProto { Name = "y", Type = Type(DataType.Float) });
        var model = new ModelProto
        {
            IrVersion = 10,
            Graph = _graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 21 } },
        };
        string path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, model.ToByteArray());
        using OnnxFile file = OnnxFile.Open(path);
        GraphIndex plain = LinearForms.Plain(new GraphIndex(file.Graph, path), path);
        LinearLayer[] layers = [.. LinearLayerFinder.Find(plain, "y").Where(layer => layer.Expert is not null)];
        Assert.Equal(Experts, layers.Length);
        Assert.All(layers, layer => Assert.Equal((Rows, Columns), (layer.OutFeatures, layer.InFeatures)));

        var original = new ModelRewriter(file, new GraphIndex(file.Graph, path));
        float[] expected = Run(ModelSession.Open(original.Whole(), new SessionSettings(1)));
        float[] actual = Run(ModelSession.Open(new ModelRewriter(file, plain).Whole(), new SessionSettings(1)));
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], 1e-5f);
        }
    }

    private void Build(string form)
    {
        switch (form)
        {
            case "GatherOnTheLeft":
                Weight("w", Experts, Rows, Columns);
                Node("Gather", "picked", ["w", "index"]);
                Node("Unsqueeze", "column", ["x", Vector(-1)]);
                Node("MatMul", "product", ["picked", "column"]);
                Node("Squeeze", "y", ["product", Vector(-1)]);
                break;
            case "GatherOnTheRight":
                Weight("w", Experts, Columns, Rows);
                Node("Gather", "picked", ["w", "index"]);
                Node("Unsqueeze", "row", ["x", Vector(1)]);
                Node("MatMul", "product", ["row", "picked"]);
                Node("Squeeze", "y", ["product", Vector(1)]);
                break;
            case "GatherNDTransposed":
                Weight("w", Experts, Columns, Rows);
                Node("Unsqueeze", "indices", ["index", Vector(-1)]);
                Node("GatherND", "picked", ["w", "indices"]);
                Node("Transpose", "turned", ["picked"], FamilyNodes.Ints("perm", 0, 2, 1));
                Node("Unsqueeze", "column", ["x", Vector(-1)]);
                Node("MatMul", "y", ["turned", "column"]);
                break;
            case "TransposedBeforeGather":
                Weight("w", Experts, Rows, Columns);
                Node("Transpose", "turned", ["w"], FamilyNodes.Ints("perm", 0, 2, 1));
                Node("Gather", "picked", ["turned", "index"]);
                Node("Unsqueeze", "row", ["x", Vector(1)]);
                Node("MatMul", "y", ["row", "picked"]);
                break;
            case "OneRowForTwoExperts":
                Weight("w", Experts, Rows, Columns);
                Node("Unsqueeze", "single", ["index", Vector(-1)]);
                Node("Sub", "other", [Number(Experts - 1), "single"]);
                Node("Concat", "both", ["single", "other"], FamilyNodes.Int("axis", -1));
                Node("Gather", "picked", ["w", "both"]);
                Node("Unsqueeze", "row", ["x", Vector(1)]);
                Node("Unsqueeze", "column", ["row", Vector(-1)]);
                Node("MatMul", "y", ["picked", "column"]);
                break;
            case "IntegersOf32Bits":
                Weight("w", Experts, Rows, Columns);
                Node("Cast", "narrow", ["index"], FamilyNodes.Int("to", (long)DataType.Int32));
                Node("Gather", "picked", ["w", "narrow"]);
                Node("Unsqueeze", "column", ["x", Vector(-1)]);
                Node("MatMul", "y", ["picked", "column"]);
                break;
            case "AllAtOnceOnTheRight":
                Weight("w", Experts, Columns, Rows);
                Node("Unsqueeze", "all", ["x", Vector(0)]);
                Node("MatMul", "y", ["all", "w"]);
                break;
            case "AllAtOnceOnTheLeft":
                Weight("w", Experts, Rows, Columns);
                Node("Transpose", "columns", ["x"], FamilyNodes.Ints("perm", 1, 0));
                Node("MatMul", "y", ["w", "columns"]);
                break;
            default:
                _graph.Initializer.Add(new TensorProto
                {
                    Name = "codes",
                    DataType = (int)DataType.Float8E4M3Fn,
                    Dims = { Experts, Rows, Columns },
                    RawData = ByteString.CopyFrom([.. Enumerable.Range(0, Experts * Rows * Columns).Select(_ => (byte)_random.Next(0x70))]),
                });
                Weight("scales", Experts, Rows, 2);
                Node("DequantizeLinear", "w", ["codes", "scales"], FamilyNodes.Int("axis", 2), FamilyNodes.Int("block_size", 2));
                Node("Gather", "picked", ["w", "index"]);
                Node("Unsqueeze", "column", ["x", Vector(-1)]);
                Node("MatMul", "y", ["picked", "column"]);
                break;
        }
    }

    private static float[] Run(ModelSession session)
    {
        using (session)
        {
            var random = new Random(9);
            float[] values = [.. Enumerable.Range(0, Tokens * Columns).Select(_ => (float)(random.NextDouble() - 0.5))];
            using var x = OrtValue.CreateTensorValueFromMemory(values, [Tokens, Columns]);
            using var index = OrtValue.CreateTensorValueFromMemory<long>([2, 0, 1, 1, 2, 0], [Tokens]);
            OrtValue[] inputs = [.. session.Inputs.Select(input => input.Name == "x" ? x : index)];
            using OrtValue y = session.Run(inputs, ["y"], CancellationToken.None)[0];
            return y.GetTensorDataAsSpan<float>().ToArray();
        }
    }

    private void Node(string op, string output, string[] inputs, params AttributeProto[] attributes) => _graph.Node.Add(
        new NodeProto { OpType = op, Name = $"{output}_node", Input = { inputs }, Output = { output }, Attribute = { attributes } });

    private void Weight(string name, params long[] dims) => _graph.Initializer.Add(new TensorProto
    {
        Name = name,
        DataType = (int)DataType.Float,
        Dims = { dims },
        FloatData = { Enumerable.Range(0, (int)dims.Aggregate(1L, (a, b) => a * b)).Select(_ => (float)(_random.NextDouble() - 0.5)) },
    });

    private string Vector(long value) => Integers([1], value);

    private string Number(long value) => Integers([], value);

    private string Integers(long[] dims, long value)
    {
        string name = $"integer_{_graph.Initializer.Count}";
        _graph.Initializer.Add(new TensorProto
        {
            Name = name,
            DataType = (int)DataType.Int64,
            Dims = { dims },
            RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<long>([value])),
        });
        return name;
    }

    private void Input(string name, DataType type, params long[] dims)
    {
        TypeProto declared = Type(type);
        declared.TensorType.Shape = new TensorShapeProto
        {
            Dim = { dims.Select(dim => new TensorShapeProto.Types.Dimension { DimValue = dim }) },
        };
        _graph.Input.Add(new ValueInfoProto { Name = name, Type = declared });
    }

    private static TypeProto Type(DataType type) => new() { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type } };
}
