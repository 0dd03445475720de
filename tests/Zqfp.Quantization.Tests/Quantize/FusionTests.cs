using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>The same quantized layers written with and without fused operators, run by ONNX Runtime.</summary>
public sealed class FusionTests : IDisposable
{
    private const int Columns = 64;
    private const int Tokens = 5;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(0, false)]
    [InlineData(3, false)]
    [InlineData(8, true)]
    [InlineData(8, true, true)]
    public void Products_of_one_input_become_one_with_the_same_bits(int rank, bool hasBias, bool isFitted = false)
    {
        Graph graph = new Graph().Linear("x", "q", 48, hasBias).Linear("x", "k", 30, hasBias: false).Linear("x", "v", 6, hasBias)
            .Node("Concat", ["q", "k", "v"], "y", new AttributeProto { Name = "axis", I = -1, Type = AttributeType.Int });
        (string[] types, float[][] plain, float[][] fused) = Run(graph, ["y"], rank, isFitted: isFitted);
        Assert.Equal(["Concat", "MatMulW4A8", "QuantizeTokens", "Split"], types);
        Assert.Equal(plain, fused);
    }

    [Fact]
    public void Gate_and_up_become_one_product_whose_halves_are_multiplied_where_they_are_quantized()
    {
        Graph graph = new Graph().Linear("x", "up", 40, hasBias: false).Linear("x", "gate", 40, hasBias: true)
            .Node("Sigmoid", ["gate"], "open").Node("Mul", ["open", "gate"], "silu").Node("Mul", ["up", "silu"], "gated")
            .Linear("gated", "y", 24, hasBias: false, columns: 40);
        (string[] types, float[][] plain, float[][] fused) = Run(graph, ["y"], rank: 3);
        Assert.Equal(["GateQuantizeTokens", "MatMulW4A8", "MatMulW4A8", "QuantizeTokens"], types);
        Near(plain, fused);
    }

    [Theory]
    [InlineData("SimplifiedLayerNormalization", 0)]
    [InlineData("LayerNormalization", 0)]
    [InlineData("LayerNormalization", 32)]
    [InlineData("SkipSimplifiedLayerNormalization", 0)]
    [InlineData("SkipLayerNormalization", 0)]
    [InlineData("Div", 0)]
    [InlineData("Reciprocal", 0)]
    public void A_norm_quantizes_what_it_makes(string spelling, int rotation)
    {
        Graph graph = new Graph().Norm(spelling, "normal").Linear("normal", "y", 24, hasBias: false);
        string[] outputs = spelling.StartsWith("Skip", StringComparison.Ordinal) ? ["y", "sum"] : ["y"];
        (string[] types, float[][] plain, float[][] fused) = Run(graph, outputs, rank: 0, rotation);
        Assert.Equal(["MatMulW4A8", "NormQuantizeTokens"], types);
        Near(plain, fused);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_norm_between_casts_of_a_float16_model_quantizes_what_it_makes(bool castIsReadElsewhere)
    {
        Graph graph = new Graph().HalfNorm("normal").HalfLinear("normal", "half", 24).Cast("half", "y", DataType.Float);
        if (castIsReadElsewhere)
        {
            graph.Node("Neg", ["wide"], "negative");
        }

        string[] outputs = castIsReadElsewhere ? ["y", "negative"] : ["y"];
        (string[] types, float[][] plain, float[][] fused) = Run(graph, outputs, rank: 0);
        string[] others = castIsReadElsewhere ? ["Cast", "Cast", "Cast", "MatMulW4A8", "Neg"] : ["Cast", "Cast", "MatMulW4A8"];
        Assert.Equal([.. others, "NormQuantizeTokens"], types);
        Near(plain, fused);
    }

    [Theory]
    [InlineData("Relu", 4)]
    [InlineData("Gelu", 1)]
    [InlineData("FastGelu", 2)]
    [InlineData("QuickGelu", 3)]
    [InlineData("erf", 1)]
    [InlineData("erf, half last", 1)]
    [InlineData("tanh", 2)]
    [InlineData("tanh, cube by products", 2)]
    [InlineData("quick", 3)]
    [InlineData("silu", 0)]
    public void An_activation_is_quantized_where_it_is_made(string spelling, int activation)
    {
        Graph graph = new Graph().Linear("x", "inner", 40, hasBias: true).Activation(spelling, "inner", "active")
            .Linear("active", "y", 24, hasBias: false, columns: 40);
        (string[] types, float[][] plain, float[][] fused) = Run(graph, ["y"], rank: 3);
        Assert.Equal(["ActivateQuantizeTokens", "MatMulW4A8", "MatMulW4A8", "QuantizeTokens"], types);
        Assert.Equal(activation, Attributes.Int(
            Written().Graph.Node.Single(node => node.OpType == OperatorNames.ActivateQuantizeTokens), OperatorNames.Activation, -1));
        Near(plain, fused);
    }

    [Theory]
    [InlineData("Gelu")]
    [InlineData("tanh")]
    public void A_gated_GELU_is_multiplied_where_it_is_quantized(string spelling)
    {
        Graph graph = new Graph().Linear("x", "up", 40, hasBias: false).Linear("x", "gate", 40, hasBias: true)
            .Activation(spelling, "gate", "active").Node("Mul", ["active", "up"], "gated")
            .Linear("gated", "y", 24, hasBias: false, columns: 40);
        (string[] types, float[][] plain, float[][] fused) = Run(graph, ["y"], rank: 3);
        Assert.Equal(["ActivateQuantizeTokens", "MatMulW4A8", "MatMulW4A8", "QuantizeTokens"], types);
        Near(plain, fused);
    }

    [Fact]
    public void An_activation_weighted_token_by_token_stays_as_it_is()
    {
        Graph graph = new Graph().Linear("x", "inner", 40, hasBias: false).Node("ReduceMax", ["x"], "weight",
                new AttributeProto { Name = "axes", Ints = { -1 }, Type = AttributeType.Ints })
            .Node("Relu", ["inner"], "active").Node("Mul", ["active", "weight"], "weighted")
            .Linear("weighted", "y", 24, hasBias: false, columns: 40);
        (string[] types, float[][] plain, float[][] fused) = Run(graph, ["y"], rank: 0);
        Assert.Equal(["MatMulW4A8", "MatMulW4A8", "Mul", "QuantizeTokens", "QuantizeTokens", "ReduceMax", "Relu"], types);
        Assert.Equal(plain, fused);
    }

    [Theory]
    [InlineData(0.6f, 1.41421356f)]
    [InlineData(0.5f, 1.5f)]
    public void What_is_no_activation_stays_as_it_is(float half, float root)
    {
        Graph graph = new Graph().Linear("x", "inner", 40, hasBias: false).Activation("erf", "inner", "active", half, root)
            .Linear("active", "y", 24, hasBias: false, columns: 40);
        Assert.Contains("Erf", Run(graph, ["y"], rank: 0).Types);
    }

    [Fact]
    public void What_others_read_too_stays_as_it_is()
    {
        Graph graph = new Graph().Norm("SimplifiedLayerNormalization", "normal").Linear("normal", "y", 24, hasBias: false)
            .Node("Neg", ["normal"], "negative");
        (string[] types, float[][] plain, float[][] fused) = Run(graph, ["y", "negative"], rank: 0);
        Assert.Equal(["MatMulW4A8", "Neg", "QuantizeTokens", "SimplifiedLayerNormalization"], types);
        Assert.Equal(plain, fused);
    }

    [Fact]
    public void A_norm_over_another_axis_stays_as_it_is()
    {
        Graph graph = new Graph().Norm("SimplifiedLayerNormalization", "normal", axis: 1, gainLength: Tokens * Columns)
            .Linear("normal", "y", 24, hasBias: false);
        Assert.Contains("SimplifiedLayerNormalization", Run(graph, ["y"], rank: 0).Types);
    }

    [Theory]
    [InlineData("SkipSimplifiedLayerNormalization", 0)]
    [InlineData("SkipLayerNormalization", 0)]
    [InlineData("LayerNormalization", 32)]
    [InlineData("Div", 0)]
    public void A_norm_has_a_body_that_plain_ONNX_Runtime_runs(string spelling, int rotation)
    {
        Graph graph = new Graph().Norm(spelling, "normal").Linear("normal", "y", 24, hasBias: false);
        string[] outputs = spelling.StartsWith("Skip", StringComparison.Ordinal) ? ["y", "sum"] : ["y"];
        (string[] types, float[][] plain, float[][] fused) =
            Run(graph, outputs, rank: 3, rotation, profile: EmissionProfile.Portable);
        Assert.Equal(["MatMulW4A8", "NormQuantizeTokens"], types);
        Near(plain, fused);
        Near(plain, Execute(Path.Combine(_folder, "all.onnx"), outputs, withOperators: false));
    }

    [Theory]
    [InlineData("silu", true)]
    [InlineData("silu", false)]
    [InlineData("Gelu", true)]
    [InlineData("Gelu", false)]
    [InlineData("tanh", false)]
    [InlineData("quick", true)]
    [InlineData("Relu", false)]
    public void An_activation_has_a_body_that_plain_ONNX_Runtime_runs(string spelling, bool isGated)
    {
        Graph graph = new Graph().Linear("x", "up", 40, hasBias: false).Linear("x", "gate", 40, hasBias: true)
            .Activation(spelling, "gate", "active").Node(isGated ? "Mul" : "Add", ["active", "up"], "gated")
            .Linear(isGated ? "gated" : "active", "y", 24, hasBias: false, columns: 40);
        (string[] types, float[][] plain, float[][] fused) = Run(graph, ["y"], rank: 3, profile: EmissionProfile.Portable);
        string activating = isGated && spelling == "silu" ? "GateQuantizeTokens" : "ActivateQuantizeTokens";
        string[] split = isGated ? ["Split"] : [];
        Assert.Equal([activating, "MatMulW4A8", "MatMulW4A8", "QuantizeTokens", .. split], types);
        Near(plain, fused);
        Near(plain, Execute(Path.Combine(_folder, "all.onnx"), ["y"], withOperators: false));
    }

    /// <summary>Codes may be the next ones where a last bit before the rounding decides.</summary>
    private static void Near(float[][] plain, float[][] fused)
    {
        for (int i = 0; i < plain.Length; i++)
        {
            double error = plain[i].Zip(fused[i]).Sum(pair => Math.Pow(pair.First - pair.Second, 2));
            Assert.InRange(Math.Sqrt(error / plain[i].Sum(value => value * value)), 0, 0.01);
        }
    }

    private (string[] Types, float[][] Plain, float[][] Fused) Run(
        Graph graph, string[] outputs, int rank, int rotation = 0, bool isFitted = false,
        EmissionProfile profile = EmissionProfile.Custom)
    {
        string source = Path.Combine(_folder, "source.onnx");
        graph.Declare(outputs);
        File.WriteAllBytes(source, graph.Model.ToByteArray());
        string[] written = [Path.Combine(_folder, "none.onnx"), Path.Combine(_folder, "all.onnx")];
        using (OnnxFile file = OnnxFile.Open(source))
        {
            var index = new GraphIndex(file.Graph, source);
            foreach (OperatorFusion fusion in Enum.GetValues<OperatorFusion>())
            {
                var rewriter = new ModelRewriter(file, index) { Fusion = fusion };
                foreach (IGrouping<string, LinearLayer> stage in LinearLayerFinder.Find(index, outputs[0]).GroupBy(layer => layer.Input))
                {
                    rewriter.Replace([.. stage.Select(layer => Quantized(layer, rank, rotation) with
                    {
                        Bias = isFitted && layer.Bias is not null ? Random(layer.OutFeatures, seed: 13) : default(ReadOnlyMemory<float>?),
                    })]);
                }

                using ModelWriter model = rewriter.Write(
                    written[(int)fusion], profile, [], "zqfp.content", CancellationToken.None);
                model.Commit();
            }
        }

        string[] types = [.. Written().Graph.Node
            .Select(node => node.OpType).Order(StringComparer.Ordinal)];
        return (types, Execute(written[0], outputs), Execute(written[1], outputs));
    }

    private ModelProto Written() => ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(_folder, "all.onnx")));

    private static float[][] Execute(string model, string[] outputs, bool withOperators = true)
    {
        RuntimeLibrary.Start();
        using var options = new SessionOptions();
        if (withOperators)
        {
            options.AddZqfpOperators();
        }

        using var session = new InferenceSession(model, options);
        string[] names = [.. session.InputNames];
        OrtValue[] inputs =
            [.. names.Select((_, i) => OrtValue.CreateTensorValueFromMemory(Random(Tokens * Columns, seed: i), [1, Tokens, Columns]))];
        OrtValue[] made = session.Run(names, inputs, outputs);
        float[][] values = [.. made.Select(value => value.GetTensorDataAsSpan<float>().ToArray())];
        Array.ForEach([.. inputs, .. made], value => value.Dispose());
        return values;
    }

    private static QuantizedLayerTensors Quantized(LinearLayer layer, int rank, int rotation)
    {
        int rows = (int)layer.OutFeatures, columns = (int)layer.InFeatures, groups = (columns + 31) / 32;
        byte[] codes = new byte[rows * columns / 2];
        new Random(rows).NextBytes(codes);
        // Layers of different ranks beside each other, and one without a branch.
        rank = rows == 6 ? 0 : Math.Max(0, rank - (rows % 2));
        return new QuantizedLayerTensors
        {
            Layer = layer,
            CodesType = WeightCodes.Fp4E2M1,
            Codes = codes,
            GroupSize = 32,
            Exponents = Enumerable.Range(0, rows * groups).Select(i => (byte)(i * 7 % 5)).ToArray(),
            Scales = Array.ConvertAll(Random(rows, seed: 3), value => 0.01f + MathF.Abs(value)),
            Rank = rank,
            Down = Array.ConvertAll(Random(rank * columns, seed: 5), value => (Half)value),
            Up = Array.ConvertAll(Random(rows * rank, seed: 6), value => (Half)value),
            Activations = ActivationRounding.Fp8,
            Rotation = rotation,
        };
    }

    private static float[] Random(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextSingle()) - 1)];
    }

    /// <summary>A graph of linear layers and what stands between them, in float32.</summary>
    private sealed class Graph
    {
        public ModelProto Model { get; } = new()
        {
            IrVersion = 10,
            Graph = new GraphProto { Name = "graph" },
            OpsetImport =
            {
                new OperatorSetIdProto { Domain = "", Version = 17 },
                new OperatorSetIdProto { Domain = OperatorNames.MicrosoftDomain, Version = 1 },
            },
        };

        public Graph() => Model.Graph.Input.Add(Value("x", 3));

        public Graph Linear(string input, string output, int rows, bool hasBias, int columns = Columns)
        {
            Constant($"{output}.weight", [columns, rows], new float[columns * rows]);
            Node("MatMul", [input, $"{output}.weight"], hasBias ? $"{output}.product" : output);
            if (hasBias)
            {
                Constant($"{output}.bias", [rows], Random(rows, seed: 9));
                Node("Add", [$"{output}.product", $"{output}.bias"], output);
            }

            return this;
        }

        public Graph Norm(string spelling, string output, int axis = -1, int gainLength = Columns)
        {
            Constant("gain", axis == 1 ? [Tokens, Columns] : [gainLength], Random(gainLength, seed: 11));
            Constant("shift", [Columns], Random(Columns, seed: 12));
            AttributeProto epsilon = new() { Name = "epsilon", F = 1e-3f, Type = AttributeType.Float };
            if (spelling is "Div" or "Reciprocal")
            {
                Constant("two", [], [2]);
                Constant("epsilon", [], [1e-3f]);
                Node("Pow", ["x", "two"], "squares");
                Node("ReduceMean", ["squares"], "mean", new AttributeProto { Name = "axes", Ints = { -1 }, Type = AttributeType.Ints });
                Node("Add", ["mean", "epsilon"], "positive").Node("Sqrt", ["positive"], "root");
                return (spelling == "Div" ? Node("Div", ["x", "root"], "unit")
                    : Node("Reciprocal", ["root"], "inverse").Node("Mul", ["x", "inverse"], "unit")).Node("Mul", ["gain", "unit"], output);
            }

            bool skips = spelling.StartsWith("Skip", StringComparison.Ordinal);
            string[] shift = spelling is "LayerNormalization" or "SkipLayerNormalization" ? ["shift"] : [];
            if (skips)
            {
                Model.Graph.Input.Add(Value("skip", 3));
            }

            Node(spelling, [.. skips ? ["x", "skip"] : (string[])["x"], "gain", .. shift], output, epsilon);
            NodeProto node = Model.Graph.Node[^1];
            if (skips)
            {
                node.Domain = OperatorNames.MicrosoftDomain;
                node.Output.AddRange(["", "", "sum"]);
            }
            else
            {
                node.Attribute.Add(new AttributeProto { Name = "axis", I = axis, Type = AttributeType.Int });
            }

            Model.Graph.ValueInfo.Add(Value(output, 3));
            return this;
        }

        /// <summary>As exporters write the norm of a float16 model.</summary>
        public Graph HalfNorm(string output)
        {
            Half("gain", [Columns], Random(Columns, seed: 11)).Constant("two", [], [2]).Constant("epsilon", [], [1e-3f]);
            Cast("x", "narrow", DataType.Float16).Cast("narrow", "wide", DataType.Float).Node("Pow", ["wide", "two"], "squares");
            Node("ReduceMean", ["squares"], "mean", new AttributeProto { Name = "axes", Ints = { -1 }, Type = AttributeType.Ints });
            Node("Add", ["mean", "epsilon"], "positive").Node("Sqrt", ["positive"], "root").Node("Reciprocal", ["root"], "inverse");
            return Node("Mul", ["wide", "inverse"], "unit").Cast("unit", "half unit", DataType.Float16)
                .Node("Mul", ["gain", "half unit"], output);
        }

        public Graph HalfLinear(string input, string output, int rows) =>
            Half($"{output}.weight", [Columns, rows], new float[Columns * rows]).Node("MatMul", [input, $"{output}.weight"], output);

        public Graph Cast(string input, string output, DataType type)
        {
            Node("Cast", [input], output, new AttributeProto { Name = "to", I = (int)type, Type = AttributeType.Int });
            Model.Graph.ValueInfo.Add(Value(output, 3, type));
            return this;
        }

        public Graph Activation(string spelling, string x, string output, float half = 0.5f, float root = 1.41421356f)
        {
            switch (spelling)
            {
                case "erf":
                    Constant("root", [], [root]).Constant("one", [], [1]).Constant("half", [], [half]);
                    return Node("Div", [x, "root"], "scaled").Node("Erf", ["scaled"], "erf").Node("Add", ["erf", "one"], "sum")
                        .Node("Mul", [x, "half"], "halved").Node("Mul", ["halved", "sum"], output);
                case "erf, half last":
                    Constant("root", [1], [1 / root]).Constant("one", [], [1]).Constant("half", [], [half]);
                    return Node("Mul", ["root", x], "scaled").Node("Erf", ["scaled"], "erf").Node("Add", ["one", "erf"], "sum")
                        .Node("Mul", [x, "sum"], "twice").Node("Mul", ["half", "twice"], output);
                case "tanh" or "tanh, cube by products":
                    Constant("three", [], [3]).Constant("cubic", [], [0.044715f]).Constant("slope", [], [0.7978846f])
                        .Constant("one", [], [1]).Constant("half", [], [half]);
                    _ = spelling == "tanh" ? Node("Pow", [x, "three"], "cube")
                        : Node("Mul", [x, x], "square").Node("Mul", ["square", x], "cube");
                    return Node("Mul", ["cube", "cubic"], "bent").Node("Add", [x, "bent"], "sum").Node("Mul", ["sum", "slope"], "scaled")
                        .Node("Tanh", ["scaled"], "tanh").Node("Add", ["tanh", "one"], "upper")
                        .Node("Mul", [x, "half"], "halved").Node("Mul", ["halved", "upper"], output);
                case "quick":
                    Constant("slope", [], [1.702f]);
                    return Node("Mul", [x, "slope"], "scaled").Node("Sigmoid", ["scaled"], "open").Node("Mul", [x, "open"], output);
                case "silu":
                    return Node("Sigmoid", [x], "open").Node("Mul", [x, "open"], output);
                default:
                    Node(spelling, [x], output);
                    Model.Graph.Node[^1].Domain = spelling == "Relu" ? "" : OperatorNames.MicrosoftDomain;
                    return this;
            }
        }

        public Graph Node(string op, string[] inputs, string output, params AttributeProto[] attributes)
        {
            Model.Graph.Node.Add(new NodeProto
            {
                OpType = op,
                Name = $"make {output}",
                Input = { inputs },
                Output = { output },
                Attribute = { attributes },
            });
            return this;
        }

        public void Declare(string[] outputs) => Model.Graph.Output.AddRange(outputs.Select(output => Value(output, 3)));

        private Graph Constant(string name, long[] dims, float[] values)
        {
            Model.Graph.Initializer.Add(Tensors.Floats(name, values, dims));
            return this;
        }

        private Graph Half(string name, long[] dims, float[] values)
        {
            Half[] halves = Array.ConvertAll(values, value => (Half)value);
            Model.Graph.Initializer.Add(new TensorProto
            {
                Name = name,
                DataType = (int)DataType.Float16,
                Dims = { dims },
                RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(halves.AsSpan())),
            });
            return this;
        }

        private static ValueInfoProto Value(string name, int rank, DataType type = DataType.Float)
        {
            var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = new TensorShapeProto() };
            tensor.Shape.Dim.Add(Enumerable.Range(0, rank).Select(i => new TensorShapeProto.Types.Dimension { DimParam = $"{name}{i}" }));
            return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
        }
    }
}
