using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>The control case with its layers spelled in other ways: the same numbers, so the same layers and perplexity.</summary>
public sealed class FormTests : IDisposable
{
    private const double Perplexity = 1907.137;
    private const int Layers = 14;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string> Forms => new("FusedMatMul", "Einsum", "EinsumTransposed", "EinsumHeads", "Conv",
        "LeadingOne", "Gemm", "Function", "Sparse", "Left");

    [Theory]
    [MemberData(nameof(Forms))]
    public void A_layer_of_every_form_is_a_layer_and_computes_the_same(string form)
    {
        GraphCase model = Case(graph => Spell(graph, form));
        Assert.Equal(1, model.Perplexity() / Perplexity, 1e-5);
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(Layers, report.Layers.Count);
        Assert.Equal(1, report.Coverage!.BodyShare);
        Assert.DoesNotContain(report.Warnings, warning => warning.Code == "ZQFP2105");
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);
    }

    [Fact]
    public void A_layer_kind_that_breaks_is_warned_about_and_named()
    {
        GraphCase model = Case(graph => Spell(graph, "If"));
        QuantizeReport report = model.Quantize(model.Exact with { Selection = new LayerSelection() });
        Diagnostic warning = Assert.Single(report.Warnings, warning => warning.Code == "ZQFP2105");
        Assert.Contains("inside the body of", warning.Message, StringComparison.Ordinal);
        Assert.Equal(Layers / 2, report.Layers.Count);
        Assert.Equal(Layers / 2,
            model.Inspect().Coverage.Exceptions.Count(weight => weight.Reason.Contains("inside the body of", StringComparison.Ordinal)));
    }

    [Fact]
    public void Two_outputs_that_can_be_the_logits_are_refused_unless_one_is_named()
    {
        GraphCase model = Case(model =>
        {
            GraphProto graph = model.Graph;
            NodeProto head = graph.Node.Single(node => node.Output.Contains("logits"));
            head.Output[0] = "one";
            graph.Node.Add(new NodeProto { OpType = "Mul", Name = "twice", Input = { "one", "one" }, Output = { "two" } });
            ValueInfoProto one = graph.Output.Single(output => output.Name == "logits");
            one.Name = "one";
            ValueInfoProto two = one.Clone();
            two.Name = "two";
            graph.Output.Add(two);
        });
        ZqfpException error = Assert.Throws<ZqfpException>(() => model.Inspect());
        Assert.Equal("ZQFP1014", error.Code);
        Assert.Contains("'one', 'two'", error.Message, StringComparison.Ordinal);
        Assert.Equal("ZQFP1015", Assert.Throws<ZqfpException>(() => model.Quantize(model.Exact with { Logits = "three" })).Code);
        Assert.Equal(Layers, model.Quantize(model.Exact with { Logits = "one" }).Layers.Count);
    }

    [Fact]
    public void A_region_that_two_initializers_share_is_written_once()
    {
        byte[] shared = new byte[64 * 32 * sizeof(float)];
        GraphCase model = Case(model =>
        {
            foreach (string name in new[] { "first", "second" })
            {
                TensorProto tensor = new()
                {
                    Name = name,
                    DataType = (int)DataType.Float,
                    Dims = { 64, 32 },
                    DataLocation = DataLocation.External,
                };
                tensor.ExternalData.Add([new() { Key = "location", Value = "w.bin" }, new() { Key = "offset", Value = "0" },
                    new() { Key = "length", Value = $"{shared.Length}" }]);
                model.Graph.Initializer.Add(tensor);
                model.Graph.Output.Add(new ValueInfoProto
                {
                    Name = name,
                    Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Float } },
                });
            }
        });
        File.WriteAllBytes(Path.Combine(_folder, "w.bin"), shared);
        string written = model.Quantize(model.Exact).Output;
        ModelProto output = ModelProto.Parser.ParseFrom(File.ReadAllBytes(written));
        string[] offsets = [.. output.Graph.Initializer.Where(tensor => tensor.Name is "first" or "second")
            .Select(tensor => tensor.ExternalData.Single(entry => entry.Key == "offset").Value)];
        Assert.Equal(2, offsets.Length);
        Assert.Equal(offsets[0], offsets[1]);
    }

    private GraphCase Case(Action<ModelProto> change)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Repository.Path("tests/Cases/base/model.onnx")));
        change(model);
        string path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, model.ToByteArray());
        return new GraphCase(path, Repository.Path("tests/Cases/base/cal.i16"), Repository.Path("tests/Cases/base/eval.i16"), _folder);
    }

    /// <summary>The control case in one of the forms.</summary>
    internal static ModelProto Spelled(string form)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Repository.Path("tests/Cases/base/model.onnx")));
        Spell(model, form);
        return model;
    }

    /// <summary>Spells every product with an initializer [K, N] in another form; of <c>If</c> every second one.</summary>
    private static void Spell(ModelProto model, string form)
    {
        GraphProto graph = model.Graph;
        Dictionary<string, TensorProto> weights = graph.Initializer.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        if (form == "FusedMatMul")
        {
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        }

        if (form == "Function")
        {
            long opset = model.OpsetImport.Single(import => import.Domain.Length == 0).Version;
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = "local", Version = 1 });
            model.Functions.Add(new FunctionProto
            {
                Name = "linear",
                Domain = "local",
                Input = { "x", "w" },
                Output = { "y" },
                OpsetImport = { new OperatorSetIdProto { Domain = "", Version = opset } },
                Node = { new NodeProto { OpType = "Identity", Input = { "x" }, Output = { "x1" } },
                    new NodeProto { OpType = "MatMul", Name = "product", Input = { "x1", "w" }, Output = { "y" } } },
            });
        }

        List<NodeProto> nodes = [];
        int seen = 0;
        foreach (NodeProto node in graph.Node)
        {
            bool isLayer = node.OpType == "MatMul" && weights.TryGetValue(node.Input[1], out TensorProto? weight)
                && weight.Dims.Count == 2 && !node.Output.Contains("logits");
            if (isLayer && (form != "If" || seen++ % 2 == 0))
            {
                nodes.AddRange(Spell(graph, node, weights[node.Input[1]], form));
            }
            else
            {
                nodes.Add(node);
            }
        }

        graph.Node.Clear();
        graph.Node.AddRange(nodes);
    }

    private static NodeProto[] Spell(GraphProto graph, NodeProto node, TensorProto weight, string form)
    {
        (string x, string y, string w) = (node.Input[0], node.Output[0], $"{node.Output[0]}.w");
        (long inner, long outer) = (weight.Dims[0], weight.Dims[1]);
        float[] values = weight.HasRawData ? MemoryMarshal.Cast<byte, float>(weight.RawData.Span).ToArray() : [.. weight.FloatData];
        float[] turned = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            turned[(i % outer * inner) + (i / outer)] = values[i];
        }

        NodeProto Make(string op, string[] inputs, string output, params AttributeProto[] attributes) => new()
        {
            OpType = op,
            Name = output == y ? node.Name : $"{output}.{op}",
            Input = { inputs },
            Output = { output },
            Attribute = { attributes },
        };

        string Constant(string name, float[] numbers, params long[] dims)
        {
            graph.Initializer.Add(new TensorProto
            {
                Name = name,
                DataType = (int)DataType.Float,
                Dims = { dims },
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(numbers)),
            });
            return name;
        }

        string Shape(string name, params long[] dims)
        {
            graph.Initializer.Add(
                new TensorProto { Name = name, DataType = (int)DataType.Int64, Dims = { dims.Length }, Int64Data = { dims } });
            return name;
        }

        switch (form)
        {
            case "FusedMatMul":
                NodeProto fused = Make("FusedMatMul", [x, Constant(w, [.. turned.Select(value => value / 2)], outer, inner)],
                    y, Int("transB", 1), new AttributeProto { Name = "alpha", F = 2, Type = AttributeType.Float });
                fused.Domain = "com.microsoft";
                return [fused];
            case "Einsum":
                return [Make("Einsum", [x, weight.Name], y, Text("equation", "bsd,df->bsf"))];
            case "EinsumTransposed":
                return [Make("Einsum", [Constant(w, turned, outer, inner), x], y, Text("equation", "fd,bsd->bsf"))];
            case "EinsumHeads":
                return [Make("Einsum", [x, Constant(w, turned, 4, outer / 4, inner)], $"{y}.heads", Text("equation", "bsd,hkd->bshk")),
                    Make("Reshape", [$"{y}.heads", Shape($"{w}.shape", 0, 0, outer)], y)];
            case "Conv":
                return
                [
                    Make("Transpose", [x], $"{y}.in", Ints("perm", 0, 2, 1)),
                    Make("Conv", [$"{y}.in", Constant(w, turned, outer, inner, 1)], $"{y}.out", Ints("kernel_shape", 1)),
                    Make("Transpose", [$"{y}.out"], y, Ints("perm", 0, 2, 1)),
                ];
            case "LeadingOne":
                return [Make("Reshape", [x, Shape($"{w}.shape", 0, 0, inner)], $"{y}.in"),
                    Make("MatMul", [$"{y}.in", Constant(w, values, 1, inner, outer)], y)];
            case "Gemm":
                // Flattened rows, transposed and back, a doubled scalar bias of 0.
                return
                [
                    Make("Shape", [x], $"{y}.dims", Int("end", 2)),
                    Make("Concat", [$"{y}.dims", Shape($"{w}.outer", outer)], $"{y}.shape", Int("axis", 0)),
                    Make("Reshape", [x, Shape($"{w}.rows", -1, inner)], $"{y}.rows"),
                    Make("Transpose", [$"{y}.rows"], $"{y}.turned", Ints("perm", 1, 0)),
                    Make("Gemm", [$"{y}.turned", Constant(w, [.. turned.Select(value => value * 4)], outer, inner),
                        Constant($"{w}.zero", [0])], $"{y}.flat",
                        Int("transA", 1), Int("transB", 1), new AttributeProto { Name = "alpha", F = 0.25f, Type = AttributeType.Float },
                        new AttributeProto { Name = "beta", F = 2, Type = AttributeType.Float }),
                    Make("Reshape", [$"{y}.flat", $"{y}.shape"], y),
                ];
            case "Function":
                NodeProto call = Make("linear", [x, weight.Name], y);
                call.Domain = "local";
                return [call];
            case "Sparse":
                graph.Initializer.Remove(weight);
                graph.SparseInitializer.Add(new SparseTensorProto
                {
                    Dims = { inner, outer },
                    Values = new TensorProto { Name = w, DataType = (int)DataType.Float, Dims = { values.Length }, FloatData = { values } },
                    Indices = new TensorProto
                    {
                        DataType = (int)DataType.Int64,
                        Dims = { values.Length },
                        Int64Data = { Enumerable.Range(0, values.Length).Select(i => (long)i) },
                    },
                });
                return [Make("MatMul", [x, w], y)];
            case "Left":
                return
                [
                    Make("Transpose", [x], $"{y}.in", Ints("perm", 0, 2, 1)),
                    Make("MatMul", [Constant(w, turned, outer, inner), $"{y}.in"], $"{y}.out"),
                    Make("Transpose", [$"{y}.out"], y, Ints("perm", 0, 2, 1)),
                ];
            default:
                graph.Initializer.Add(
                    new TensorProto { Name = $"{y}.true", DataType = (int)DataType.Bool, RawData = ByteString.CopyFrom(1) });
                GraphProto Body(string name) => new()
                {
                    Name = name,
                    Node = { new NodeProto
                    {
                        OpType = "MatMul",
                        Name = $"{y}.{name}",
                        Input = { x, weight.Name },
                        Output = { $"{y}.{name}" }
                    } },
                    Output = { new ValueInfoProto
                    {
                        Name = $"{y}.{name}",
                        Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Float } }
                    } },
                };
                return
                [
                    Make("If", [$"{y}.true"], y,
                        new AttributeProto { Name = "then_branch", G = Body("then"), Type = AttributeType.Graph },
                        new AttributeProto
                        {
                            Name = "else_branch",
                            G = new GraphProto
                            {
                                Name = "else",
                                Node = { new NodeProto { OpType = "Identity", Input = { x }, Output = { $"{y}.else" } } },
                                Output = { new ValueInfoProto
                                {
                                    Name = $"{y}.else",
                                    Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Float } }
                                } },
                            },
                            Type = AttributeType.Graph,
                        }),
                ];
        }
    }

    private static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = AttributeType.Int };

    private static AttributeProto Ints(string name, params long[] values) =>
        new() { Name = name, Ints = { values }, Type = AttributeType.Ints };

    private static AttributeProto Text(string name, string value) => new()
    {
        Name = name,
        S = ByteString.CopyFromUtf8(value),
        Type = AttributeType.String,
    };
}
