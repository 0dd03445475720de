using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>The control case with every other layer spelled in another way, with the same numbers.</summary>
internal static class LayerForms
{
    /// <summary>The control case in one of the forms.</summary>
    internal static ModelProto Spelled(string form)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Repository.Path("tests/Cases/base/model.onnx")));
        Spell(model, form);
        return model;
    }

    /// <summary>
    /// Spells every product with an initializer [K, N] in another form; of a form that is not quantized every second one.
    /// </summary>
    internal static void Spell(ModelProto model, string form)
    {
        GraphProto graph = model.Graph;
        Dictionary<string, TensorProto> weights = graph.Initializer.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        if (form.StartsWith("Fused", StringComparison.Ordinal))
        {
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        }

        if (form is "Function" or "OtherFunction")
        {
            long opset = model.OpsetImport.Single(import => import.Domain.Length == 0).Version;
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = "local", Version = 1 });
            model.Functions.Add(new FunctionProto
            {
                Name = "linear",
                Domain = "local",
                Input = { "x", "w" },
                Output = { "y" },
                OpsetImport = { new OperatorSetIdProto { Domain = "", Version = form == "Function" ? opset : opset - 1 } },
                Node = { new NodeProto { OpType = "Identity", Input = { "x" }, Output = { "x1" } },
                    new NodeProto { OpType = "MatMul", Name = "product", Input = { "x1", "w" }, Output = { "y" } } },
            });
        }

        if (form == "Overloads")
        {
            model.IrVersion = 10;
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = "local", Version = 1 });
        }

        List<NodeProto> nodes = [];
        int seen = 0;
        foreach (NodeProto node in graph.Node)
        {
            bool isLayer = node.OpType == "MatMul" && weights.TryGetValue(node.Input[1], out TensorProto? weight)
                && weight.Dims.Count == 2 && (!node.Output.Contains("logits") || form == "ViewsAround");
            if (isLayer && (FormTests.Forms.Any(known => known.Data == form) || seen++ % 2 == 0))
            {
                nodes.AddRange(form == "Overloads"
                    ? [Overload(model, node, weights[node.Input[1]])]
                    : Spell(graph, node, weights[node.Input[1]], form));
            }
            else
            {
                nodes.Add(node);
            }
        }

        graph.Node.Clear();
        graph.Node.AddRange(nodes);
    }

    /// <summary>Each layer is a function of the same name that holds its weight.</summary>
    private static NodeProto Overload(ModelProto model, NodeProto node, TensorProto weight)
    {
        TensorProto held = weight.Clone();
        held.Name = string.Empty;
        model.Functions.Add(new FunctionProto
        {
            Name = "linear",
            Domain = "local",
            Overload = node.Name,
            Input = { "x" },
            Output = { "y" },
            OpsetImport = { model.OpsetImport.Single(import => import.Domain.Length == 0) },
            Node =
            {
                new NodeProto
                {
                    OpType = "Constant",
                    Output = { "w" },
                    Attribute = { new AttributeProto { Name = "value", T = held, Type = AttributeType.Tensor } },
                },
                new NodeProto { OpType = "MatMul", Name = "product", Input = { "x", "w" }, Output = { "y" } },
            },
        });
        NodeProto call = new() { OpType = "linear", Domain = "local", Overload = node.Name, Name = node.Name, Output = { node.Output } };
        call.Input.Add(node.Input[0]);
        return call;
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
            graph.Initializer.Add(Tensors.Floats(name, numbers, dims));
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
            case "FusedTransA":
                NodeProto turnedFirst = Make("FusedMatMul", [$"{y}.in", weight.Name], y, Int("transA", 1));
                turnedFirst.Domain = "com.microsoft";
                return [Make("Transpose", [x], $"{y}.in", Ints("perm", 0, 2, 1)), turnedFirst];
            case "FusedLeft":
                NodeProto left = Make("FusedMatMul", [weight.Name, x], $"{y}.out", Int("transA", 1), Int("transB", 1));
                left.Domain = "com.microsoft";
                return [left, Make("Transpose", [$"{y}.out"], y, Ints("perm", 0, 2, 1))];
            case "EinsumEllipsis":
                return [Make("Einsum", [x, weight.Name], y, Text("equation", "...d,df->...f"))];
            case "EinsumImplicit":
                return [Make("Einsum", [x, weight.Name], y, Text("equation", "bcd,df"))];
            case "EinsumUpper":
                return [Make("Einsum", [x, weight.Name], y, Text("equation", "BTD, DF -> BTF"))];
            case "EinsumHeadsFirst":
                return [Make("Einsum", [x, Constant(w, values, inner, 4, outer / 4)], $"{y}.heads", Text("equation", "bsd,dhk->bhsk")),
                    Make("Transpose", [$"{y}.heads"], $"{y}.turned", Ints("perm", 0, 2, 1, 3)),
                    Make("Reshape", [$"{y}.turned", Shape($"{w}.shape", 0, 0, outer)], y)];
            case "EinsumJoinsHeads":
                return [Make("Reshape", [x, Shape($"{w}.shape", 0, 0, 4, inner / 4)], $"{y}.split"),
                    Make("Transpose", [$"{y}.split"], $"{y}.heads", Ints("perm", 0, 2, 1, 3)),
                    Make("Einsum", [$"{y}.heads", Constant(w, values, 4, inner / 4, outer)], y, Text("equation", "bhsk,hkd->bsd"))];
            case "Conv2D":
                return
                [
                    Make("Transpose", [x], $"{y}.in", Ints("perm", 0, 2, 1)),
                    Make("Reshape", [$"{y}.in", Shape($"{w}.four", 0, 0, 0, 1)], $"{y}.four"),
                    Make("Conv", [$"{y}.four", Constant(w, turned, outer, inner, 1, 1), Constant($"{w}.zero", new float[outer], outer)],
                        $"{y}.out", Ints("kernel_shape", 1, 1), Text("auto_pad", "SAME_UPPER")),
                    Make("Reshape", [$"{y}.out", Shape($"{w}.three", 0, 0, -1)], $"{y}.three"),
                    Make("Transpose", [$"{y}.three"], y, Ints("perm", 0, 2, 1)),
                ];
            case var _ when form.StartsWith("GemmBias", StringComparison.Ordinal):
                long[] dims = form["GemmBias".Length..] switch
                {
                    "[]" => [],
                    "[1,1]" => [1, 1],
                    "[1,N]" => [1, outer],
                    _ => [outer],
                };
                graph.Node.Add(new NodeProto
                {
                    OpType = "Constant",
                    Name = $"{w}.bias.made",
                    Output = { $"{w}.bias" },
                    Attribute =
                    {
                        new AttributeProto
                        {
                            Name = "value",
                            Type = AttributeType.Tensor,
                            T = new TensorProto
                            {
                                DataType = (int)DataType.Float,
                                Dims = { dims },
                                FloatData = { new float[dims.Aggregate(1L, (a, b) => a * b)] },
                            },
                        },
                    },
                });
                NodeProto bias = graph.Node[^1];
                graph.Node.Remove(bias);
                return
                [
                    bias,
                    Make("Shape", [x], $"{y}.dims", Int("end", 2)),
                    Make("Concat", [$"{y}.dims", Shape($"{w}.outer", outer)], $"{y}.shape", Int("axis", 0)),
                    Make("Reshape", [x, Shape($"{w}.rows", -1, inner)], $"{y}.rows"),
                    Make("Gemm", [$"{y}.rows", weight.Name, $"{w}.bias"], $"{y}.flat",
                        new AttributeProto { Name = "beta", F = 0.5f, Type = AttributeType.Float }),
                    Make("Reshape", [$"{y}.flat", $"{y}.shape"], y),
                ];
            case "GemmLeft":
                return
                [
                    Make("Shape", [x], $"{y}.dims", Int("end", 2)),
                    Make("Concat", [$"{y}.dims", Shape($"{w}.outer", outer)], $"{y}.shape", Int("axis", 0)),
                    Make("Reshape", [x, Shape($"{w}.rows", -1, inner)], $"{y}.rows"),
                    Make("Gemm", [weight.Name, $"{y}.rows"], $"{y}.out", Int("transA", 1), Int("transB", 1)),
                    Make("Transpose", [$"{y}.out"], $"{y}.flat", Ints("perm", 1, 0)),
                    Make("Reshape", [$"{y}.flat", $"{y}.shape"], y),
                ];
            case "Identity":
                return [Make("Identity", [weight.Name], $"{w}.same"), Make("MatMul", [x, $"{w}.same"], y)];
            case "Split":
                NodeProto split = Make("Split", [Constant(w, [.. values, .. values], 2 * inner, outer), Shape($"{w}.sizes", inner, inner)],
                    $"{w}.first", Int("axis", 0));
                split.Output.Add($"{w}.second");
                return [split, Make("MatMul", [x, $"{w}.first"], y)];
            case "Slice":
                return
                [
                    Make("Slice",
                        [Constant(w, [.. values, .. values], 2 * inner, outer), Shape($"{w}.start", inner), Shape($"{w}.end", 2 * inner)],
                        $"{w}.second"),
                    Make("MatMul", [x, $"{w}.second"], y),
                ];
            case "Scaled":
                return [Make("Mul", [Constant(w, [.. values.Select(value => value / 2)], inner, outer), Constant($"{w}.scale", [2])],
                    $"{w}.scaled"), Make("MatMul", [x, $"{w}.scaled"], y)];
            case "Adapter":
                float[] adapter = [.. Enumerable.Range(0, (int)outer).Select(column => 0.25f * (column % 3))];
                return
                [
                    Make("MatMul", [Constant($"{w}.B", [.. Enumerable.Repeat(0.5f, (int)inner)], inner, 1),
                        Constant($"{w}.A", adapter, 1, outer)], $"{w}.BA"),
                    Make("Add", [Constant(w, [.. values.Select((value, i) => value - (0.5f * adapter[i % outer]))], inner, outer),
                        $"{w}.BA"], $"{w}.sum"),
                    Make("MatMul", [x, $"{w}.sum"], y),
                ];
            case "EinsumMiddle":
                float[] middle = new float[values.Length];
                for (int i = 0; i < values.Length; i++)
                {
                    (long row, long head, long column) = (i / outer, i % outer / (outer / 4), i % (outer / 4));
                    middle[(((head * inner) + row) * (outer / 4)) + column] = values[i];
                }

                return [Make("Einsum", [x, Constant(w, middle, 4, inner, outer / 4)], $"{y}.heads", Text("equation", "bsd,hdk->bshk")),
                    Make("Reshape", [$"{y}.heads", Shape($"{w}.shape", 0, 0, outer)], y)];
            case "Squeeze":
                return
                [
                    Make("Squeeze", [Constant(w, values, 1, inner, outer), Shape($"{w}.axes", 0)], $"{w}.flat"),
                    Make("MatMul", [x, $"{w}.flat"], y),
                ];
            case "Concat":
                return
                [
                    Make("Concat",
                        [Constant($"{w}.1", values[..(int)outer], 1, outer), Constant(w, values[(int)outer..], inner - 1, outer)],
                        $"{w}.whole", Int("axis", 0)),
                    Make("MatMul", [x, $"{w}.whole"], y),
                ];
            case "Double":
                graph.Initializer.Add(new TensorProto
                {
                    Name = w,
                    DataType = (int)DataType.Double,
                    Dims = { inner, outer },
                    DoubleData = { values.Select(value => (double)value) },
                });
                return
                [
                    Make("Cast", [x], $"{y}.in", Int("to", (long)DataType.Double)),
                    Make("MatMul", [$"{y}.in", w], $"{y}.out"),
                    Make("Cast", [$"{y}.out"], y, Int("to", (long)DataType.Float)),
                ];
            case "NoNames":
                NodeProto plain = Make("MatMul", [x, weight.Name], y);
                plain.Name = string.Empty;
                return [plain];
            case "Function" or "OtherFunction":
                NodeProto call = Make("linear", [x, weight.Name], y);
                call.Domain = "local";
                return [call];
            case "BranchBefore":
                // Exporters write a squeeze of a dimension whose size is open as such a branch.
                GraphProto Branch(string op, string name) => new()
                {
                    Name = name,
                    Node = { Make(op, [x], $"{y}.{name}") },
                    Output = { Value($"{y}.{name}", DataType.Float) },
                };
                return
                [
                    Make("Size", [x], $"{y}.size"),
                    Make("Cast", [$"{y}.size"], $"{y}.any", Int("to", (long)DataType.Bool)),
                    Make("If", [$"{y}.any"], $"{y}.in", Body("then_branch", Branch("Identity", "whole")),
                        Body("else_branch", Branch("Flatten", "flat"))),
                    Make("MatMul", [$"{y}.in", weight.Name], y),
                ];
            case "ViewsAround":
                return
                [
                    Make("Reshape", [x, Shape($"{y}.rows", [-1, inner])], $"{y}.in"),
                    Make("MatMul", [$"{y}.in", weight.Name], $"{y}.out"),
                    Make("Shape", [x], $"{y}.shape"),
                    Make("Slice", [$"{y}.shape", Shape($"{y}.first", [0]), Shape($"{y}.last", [-1])], $"{y}.leading"),
                    Make("Concat", [$"{y}.leading", Shape($"{y}.width", [outer])], $"{y}.wanted", Int("axis", 0)),
                    Make("Reshape", [$"{y}.out", $"{y}.wanted"], y),
                ];
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
                return InBody(form, node, weight.Name, Make, Shape);
        }
    }

    /// <summary>The layer inside a body of <c>If</c>, <c>Loop</c> or <c>Scan</c>.</summary>
    private static NodeProto[] InBody(
        string form, NodeProto node, string weight, Func<string, string[], string, AttributeProto[], NodeProto> make,
        Func<string, long[], string> shape)
    {
        (string x, string y) = (node.Input[0], node.Output[0]);
        NodeProto Product(string input, string output) => make("MatMul", [input, weight], output, []);

        NodeProto Branches(GraphProto then, GraphProto other, string output) => make("If", [$"{y}.true"], output,
            [Body("then_branch", then), Body("else_branch", other)]);

        GraphProto then = new() { Name = "then", Node = { Product(x, $"{y}.then") }, Output = { Value($"{y}.then", DataType.Float) } };
        GraphProto other = new()
        {
            Name = "else",
            Node = { make("Identity", [x], $"{y}.else", []) },
            Output = { Value($"{y}.else", DataType.Float) },
        };
        switch (form)
        {
            case "If":
                return [Branches(then, other, y)];
            case "NestedIf":
                GraphProto outside = new()
                {
                    Name = "outside",
                    Node = { Branches(then, other, $"{y}.nested") },
                    Output = { Value($"{y}.nested", DataType.Float) },
                };
                GraphProto otherwise = other.Clone();
                otherwise.Node[0].Output[0] = $"{y}.otherwise";
                otherwise.Output[0].Name = $"{y}.otherwise";
                return [Branches(outside, otherwise, y)];
            case "Loop":
                GraphProto turn = new()
                {
                    Name = "turn",
                    Input = { Value($"{y}.turn", DataType.Int64, 0), Value($"{y}.goes", DataType.Bool, 0) },
                    Node = { make("Identity", [$"{y}.goes"], $"{y}.on", []), Product(x, $"{y}.once") },
                    Output = { Value($"{y}.on", DataType.Bool, 0), Value($"{y}.once", DataType.Float) },
                };
                return
                [
                    make("Loop", [shape($"{y}.times", [1]), $"{y}.true"], $"{y}.all", [Body("body", turn)]),
                    make("Squeeze", [$"{y}.all", shape($"{y}.axis", [0])], y, []),
                ];
            default:
                GraphProto token = new()
                {
                    Name = "token",
                    Input = { Value($"{y}.in", DataType.Float, 2) },
                    Node = { Product($"{y}.in", $"{y}.out") },
                    Output = { Value($"{y}.out", DataType.Float, 2) },
                };
                return
                [
                    make("Scan", [x], y,
                        [Body("body", token), Int("num_scan_inputs", 1), Ints("scan_input_axes", 1), Ints("scan_output_axes", 1)]),
                ];
        }
    }

    private static AttributeProto Body(string name, GraphProto graph) => new() { Name = name, G = graph, Type = AttributeType.Graph };

    private static ValueInfoProto Value(string name, DataType type, int? rank = null)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type };
        if (rank is { } dimensions)
        {
            tensor.Shape = new TensorShapeProto
            {
                Dim = { Enumerable.Range(0, dimensions).Select(_ => new TensorShapeProto.Types.Dimension()) },
            };
        }

        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
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
