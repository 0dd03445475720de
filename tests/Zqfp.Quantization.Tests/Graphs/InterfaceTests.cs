using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>The control case with other inputs and outputs: the same numbers, so the same layers and perplexity.</summary>
public sealed class InterfaceTests : IDisposable
{
    private const double Perplexity = 1907.137;
    private const int Layers = 14;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("ids named tokens")]
    [InlineData("ids named onnx::Gather_0 in int32")]
    [InlineData("ids of no shape")]
    [InlineData("ids of one dimension")]
    [InlineData("logits reshaped to rows")]
    [InlineData("logits of rows that are not the batch's")]
    [InlineData("logits in float64")]
    [InlineData("mask [batch, 1, seq, total] that is added")]
    [InlineData("mask [batch, 1, seq, total] that is added in float16")]
    [InlineData("mask [batch, seq, total] of booleans")]
    [InlineData("causal_mask [batch, 1, seq, total] that is added")]
    public void Inputs_and_outputs_of_every_form_are_fed_and_read(string form)
    {
        GraphCase model = Case(graph => Change(graph, form));
        Assert.Equal(1, model.Perplexity() / Perplexity, 1e-5);
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(Layers, report.Layers.Count);
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);
    }

    [Theory]
    [InlineData("probabilities", "ZQFP1007", "holds probabilities")]
    [InlineData("vocabulary before the tokens", "ZQFP1008", "they have to be [batch, sequence, vocabulary]")]
    [InlineData("sequence before the batch", "ZQFP1005", "declared as [seq, batch]")]
    [InlineData("rows of the batch", "ZQFP1008", "the last token alone")]
    public void What_cannot_be_measured_is_refused_with_the_true_reason(string form, string code, string reason)
    {
        GraphCase model = Case(graph => Change(graph, form));
        ZqfpException error = Assert.Throws<ZqfpException>(() => model.Perplexity());
        Assert.Equal(code, error.Code);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    private static void Change(ModelProto model, string form)
    {
        GraphProto graph = model.Graph;
        switch (form)
        {
            case "ids named tokens":
                Rename(graph, "input_ids", "tokens");
                return;
            case "ids named onnx::Gather_0 in int32":
                Rename(graph, "input_ids", "onnx::Gather_0");
                graph.Input[0].Type.TensorType.ElemType = (int)DataType.Int32;
                return;
            case "ids of no shape":
                graph.Input[0].Type.TensorType.Shape = null;
                return;
            case "ids of one dimension":
                Rename(graph, "input_ids", "rows_of_ids");
                graph.Input[0].Name = "input_ids";
                graph.Input[0].Type.TensorType.Shape.Dim.RemoveAt(0);
                graph.Node.Insert(0, Make("Unsqueeze", ["input_ids", Integers(graph, "first", 0)], "rows_of_ids"));
                Behind(graph, "Squeeze", "first");
                graph.Output[0].Type.TensorType.Shape.Dim.RemoveAt(0);
                return;
            case "logits reshaped to rows":
                Behind(graph, "Reshape", Integers(graph, "rows", -1, 64));
                graph.Output[0].Type.TensorType.Shape = Shape("", "");
                return;
            case "logits of rows that are not the batch's" or "rows of the batch":
                Integers(graph, "flat", -1, 64);
                graph.Node.Add(Make("Identity", ["flat"], "shape"));
                Behind(graph, "Reshape", "shape");
                graph.Output[0].Type.TensorType.Shape = Shape(form == "rows of the batch" ? "batch" : "batch*seq", "vocabulary");
                return;
            case "logits in float64":
                Behind(graph, "Cast", null, new AttributeProto { Name = "to", I = (long)DataType.Double, Type = AttributeType.Int });
                graph.Output[0].Type.TensorType.ElemType = (int)DataType.Double;
                return;
            case "probabilities":
                Behind(graph, "Softmax", null);
                return;
            case "vocabulary before the tokens":
                Behind(graph, "Transpose", null, new AttributeProto { Name = "perm", Ints = { 0, 2, 1 }, Type = AttributeType.Ints });
                graph.Output[0].Type.TensorType.Shape = Shape("batch", "vocabulary", "seq");
                return;
            case "sequence before the batch":
                graph.Input[0].Type.TensorType.Shape = Shape("seq", "batch");
                return;
            default:
                GiveMask(graph, form);
                return;
        }
    }

    /// <summary>The causal mask, which the control case computes as [seq, seq], is an input.</summary>
    private static void GiveMask(GraphProto graph, string form)
    {
        NodeProto mask = graph.Node.Single(node => node.OpType == "Where");
        string name = form.StartsWith("causal", StringComparison.Ordinal) ? "causal_mask" : "attention_mask";
        bool isAdded = form.Contains("added", StringComparison.Ordinal);
        DataType type = form.EndsWith("float16", StringComparison.Ordinal) ? DataType.Float16 : isAdded ? DataType.Float : DataType.Bool;
        graph.Input.Add(new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto
            {
                TensorType = new TypeProto.Types.Tensor
                {
                    ElemType = (int)type,
                    Shape = isAdded ? Shape("batch", "1", "seq", "total") : Shape("batch", "seq", "total"),
                },
            },
        });
        int place = graph.Node.IndexOf(mask);
        if (isAdded)
        {
            graph.Node[place] = Make("Cast", [name], mask.Output[0],
                new AttributeProto { Name = "to", I = (long)DataType.Float, Type = AttributeType.Int });
            return;
        }

        graph.Node.Insert(place, Make("Unsqueeze", [name, Integers(graph, "heads", 1)], "seen"));
        mask.Input[0] = "seen";
    }

    /// <summary>Puts a node between the logits and the output.</summary>
    private static void Behind(GraphProto graph, string op, string? second, params AttributeProto[] attributes)
    {
        graph.Node.Single(node => node.Output.Contains("logits")).Output[0] = "inner";
        graph.Node.Add(Make(op, second is null ? ["inner"] : ["inner", second], "logits", attributes));
    }

    private static void Rename(GraphProto graph, string value, string name)
    {
        graph.Input.Single(input => input.Name == value).Name = name;
        foreach (NodeProto node in graph.Node)
        {
            for (int i = 0; i < node.Input.Count; i++)
            {
                node.Input[i] = node.Input[i] == value ? name : node.Input[i];
            }
        }
    }

    private static TensorShapeProto Shape(params string[] symbols) => new()
    {
        Dim = { symbols.Select(symbol => long.TryParse(symbol, out long size)
            ? new TensorShapeProto.Types.Dimension { DimValue = size }
            : new TensorShapeProto.Types.Dimension { DimParam = symbol }) },
    };

    private static string Integers(GraphProto graph, string name, params long[] values)
    {
        graph.Initializer.Add(
            new TensorProto { Name = name, DataType = (int)DataType.Int64, Dims = { values.Length }, Int64Data = { values } });
        return name;
    }

    private static NodeProto Make(string op, string[] inputs, string output, params AttributeProto[] attributes) =>
        new() { OpType = op, Name = $"n_{output}", Input = { inputs }, Output = { output }, Attribute = { attributes } };

    private GraphCase Case(Action<ModelProto> change)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Repository.Path("tests/Cases/base/model.onnx")));
        change(model);
        string path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, model.ToByteArray());
        return new GraphCase(path, Repository.Path("tests/Cases/base/cal.i16"), Repository.Path("tests/Cases/base/eval.i16"), _folder);
    }
}
