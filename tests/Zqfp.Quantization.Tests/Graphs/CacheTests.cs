using Google.Protobuf;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Models with caches, as exporters for generation write them: evaluated and calibrated as without one.</summary>
public sealed class CacheTests : IDisposable
{
    private const int Past = 8;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;
    private readonly string _tokens;

    public CacheTests() => _tokens = TinyDecoder.WriteTokens(_folder, 1024);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("Mistral", Idiom.TorchScript)]
    [InlineData("BLOOM", Idiom.TorchScript)]
    [InlineData("GPT-2", Idiom.Dynamo)]
    [InlineData("Qwen 3", Idiom.Dynamo)]
    public void An_empty_cache_a_fixed_cache_and_none_give_the_same_model(string name, Idiom idiom)
    {
        Family family = Named(name);
        double expected = Case("plain", FamilyGraph.Make(family, idiom)).Perplexity();
        int layers = FamilyGraph.Blocks * family.Layers;
        RequireSame(expected, layers, Case("open", FamilyGraph.Make(family, idiom, hasCache: true)));

        ModelProto fixedCache = FamilyGraph.Make(family, idiom, hasCache: true);
        Fix(fixedCache, Past);
        RequireSame(expected, layers, Case("fixed", fixedCache));
    }

    /// <summary>As ONNX Runtime's own exporter of GPT-2 writes it.</summary>
    [Theory]
    [InlineData("past_", null)]
    [InlineData("layer_kv_cache.", Past)]
    public void A_cache_of_keys_and_values_in_one_is_fed_too(string prefix, int? past)
    {
        Family family = Named("GPT-2");
        double expected = Case("plain", FamilyGraph.Make(family, Idiom.Dynamo)).Perplexity();
        ModelProto model = FamilyGraph.Make(family, Idiom.Dynamo, hasCache: true);
        for (int i = 0; i < FamilyGraph.Blocks; i++)
        {
            string[] parts = [$"past_key_values.{i}.key", $"past_key_values.{i}.value"];
            ValueInfoProto both = model.Graph.Input.Single(input => input.Name == parts[0]);
            model.Graph.Input.Remove(model.Graph.Input.Single(input => input.Name == parts[1]));
            both.Name = $"{prefix}{i}";
            both.Type.TensorType.Shape.Dim.Insert(0, new TensorShapeProto.Types.Dimension { DimValue = 2 });
            if (past is { } length)
            {
                both.Type.TensorType.Shape.Dim[3] = new TensorShapeProto.Types.Dimension { DimValue = length };
            }

            model.Graph.Node.Insert(0, new NodeProto
            {
                OpType = "Split",
                Name = $"split_{i}",
                Input = { both.Name },
                Output = { $"key_{i}", $"value_{i}" },
                Attribute =
                {
                    new AttributeProto { Name = "axis", I = 0, Type = AttributeType.Int },
                    new AttributeProto { Name = "num_outputs", I = 2, Type = AttributeType.Int },
                },
            });
            for (int j = 0; j < 2; j++)
            {
                model.Graph.Node.Insert(1, new NodeProto
                {
                    OpType = "Squeeze",
                    Name = $"squeeze_{i}_{j}",
                    Input = { j == 0 ? $"key_{i}" : $"value_{i}", "first_axis" },
                    Output = { parts[j] },
                });
            }
        }

        model.Graph.Initializer.Add(
            new TensorProto { Name = "first_axis", DataType = (int)DataType.Int64, Dims = { 1 }, Int64Data = { 0 } });
        RequireSame(expected, FamilyGraph.Blocks * family.Layers, Case("both", model));
    }

    /// <summary>GroupQueryAttention reads the lengths from the mask, or asks for them as inputs.</summary>
    [Theory]
    [InlineData("Mistral", "open")]
    [InlineData("Mistral", "fixed")]
    [InlineData("Mistral", "lengths")]
    [InlineData("Mistral", "lengths fixed")]
    [InlineData("Gemma 3", "open")]
    [InlineData("Gemma 3", "fixed")]
    [InlineData("Gemma 3", "fixed long")]
    [InlineData("Gemma 3", "lengths fixed long")]
    public void Fused_attention_with_any_cache_gives_the_same_model(string name, string form)
    {
        Family family = Named(name);
        double expected = Case("plain", FamilyGraph.Make(family, Idiom.GenAi)).Perplexity();
        ModelProto model = FamilyGraph.Make(family, Idiom.GenAi);
        if (form.Contains("lengths", StringComparison.Ordinal))
        {
            AskForLengths(model);
        }

        if (form.Contains("fixed", StringComparison.Ordinal))
        {
            Fix(model, form.Contains("long", StringComparison.Ordinal) ? 64 : Past);
        }

        int layers = FamilyGraph.Blocks * (family.HasHeadNorms ? family.Layers : family.Layers - 2);
        RequireSame(expected, layers, Case("cached", model));
    }

    /// <summary>Optimum's merged decoders: one graph for the first token and one for the others, in a node that chooses.</summary>
    [Fact]
    public void A_merged_decoder_is_evaluated_and_its_layers_are_named_as_inside_the_branches()
    {
        Family family = Named("Mistral");
        double expected = Case("plain", FamilyGraph.Make(family, Idiom.TorchScript)).Perplexity();
        ModelProto model = FamilyGraph.Make(family, Idiom.TorchScript, hasCache: true);
        Merge(model);
        GraphCase merged = Case("merged", model);
        Assert.Equal(1, merged.Perplexity() / expected, 1e-5);
        Coverage coverage = merged.Inspect().Coverage;
        Assert.Equal(0, coverage.Quantized);
        Assert.Equal(2 * ((FamilyGraph.Blocks * family.Layers) + 1), coverage.Exceptions.Count);
        Assert.All(coverage.Exceptions,
            weight => Assert.Contains("inside the body of node 'optimum::if'", weight.Reason, StringComparison.Ordinal));
        ZqfpException error = Assert.Throws<ZqfpException>(() => merged.Quantize(merged.Options));
        Assert.Equal("ZQFP1009", error.Code);
        Assert.Contains("inside the body of", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Mistral", 32, false)]
    [InlineData("Qwen 3", 32, true)]
    [InlineData("Gemma 2", 16, true)]
    [InlineData("Gemma 3", 64, false)]
    [InlineData("Phi", 128, true)]
    public void GenAis_own_int4_model_is_evaluated_compared_and_said_to_be_quantized(string name, int block, bool hasZeroPoints)
    {
        ModelProto int4 = FamilyGraph.Make(Named(name), Idiom.GenAi);
        ModelProto twin = FamilyGraph.Make(Named(name), Idiom.GenAi);
        new Int4Form(block, hasZeroPoints).Spell(int4, twin);
        GraphCase model = Case("int4", int4);
        GraphCase same = Case("twin", twin);
        Assert.Equal(1, model.Perplexity() / same.Perplexity(), 1e-4);
        Assert.InRange(same.Compare(Path.Combine(_folder, "int4.onnx")).LargestDifference, 0, 1e-3);

        int products = int4.Graph.Node.Count(node => node.OpType == "MatMulNBits");
        Coverage coverage = model.Inspect().Coverage;
        Assert.Equal((products, 0), (coverage.Weights, coverage.Quantized));
        Assert.All(coverage.Exceptions, weight => Assert.Equal("already INT4: MatMulNBits", weight.Reason));
        Assert.Equal("ZQFP0014", Assert.Throws<ZqfpException>(() => model.Quantize(model.Options)).Code);
        Assert.Equal("ZQFP0014", Assert.Throws<ZqfpException>(() => PlanJob.Run(model.Options, CancellationToken.None)).Code);

        // The float twin is quantized and gated against; the two quantized models are compared.
        string quantized = same.Quantize(same.Options).Output;
        var compare = new EvaluateOptions
        {
            ModelPath = quantized,
            AgainstPath = Path.Combine(_folder, "int4.onnx"),
            TextPath = _tokens,
            Window = 32,
        };
        EvaluationResult result = EvaluateJob.Run(compare, new SilentObserver(), CancellationToken.None);
        Assert.InRange(Math.Abs(result.Against!.PerplexityIncrease), 0, 0.1);
    }

    private static void RequireSame(double expected, int layers, GraphCase model)
    {
        Assert.Equal(1, model.Perplexity() / expected, 1e-5);
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(layers, report.Layers.Count);
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);
    }

    private GraphCase Case(string name, ModelProto model)
    {
        string path = Path.Combine(_folder, $"{name}.onnx");
        File.WriteAllBytes(path, model.ToByteArray());
        return new GraphCase(path, _tokens, _tokens, _folder);
    }

    private static Family Named(string name) => Family.All.Single(family => family.Name == name);

    /// <summary>Every run has as many earlier tokens as this.</summary>
    private static void Fix(ModelProto model, int past)
    {
        foreach (ValueInfoProto input in model.Graph.Input.Where(input => input.Name.StartsWith("past", StringComparison.Ordinal)))
        {
            input.Type.TensorType.Shape.Dim[2] = new TensorShapeProto.Types.Dimension { DimValue = past };
        }
    }

    private static void AskForLengths(ModelProto model)
    {
        GraphProto graph = model.Graph;
        NodeProto[] attention = [.. graph.Node.Where(node => node.OpType == "GroupQueryAttention")];
        (string lengths, string total) = (attention[0].Input[5], attention[0].Input[6]);
        foreach (NodeProto node in attention)
        {
            (node.Input[5], node.Input[6]) = ("seqlens_k", "total_sequence_length");
        }

        graph.Node.Remove(graph.Node.Single(node => node.Output.Contains(lengths)));
        graph.Node.Remove(graph.Node.Single(node => node.Output.Contains(total)));
        Declare("seqlens_k", new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension { DimParam = "batch" } } });
        Declare("total_sequence_length", new TensorShapeProto());

        void Declare(string name, TensorShapeProto shape) => graph.Input.Add(new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Int32, Shape = shape } },
        });
    }

    private static void Merge(ModelProto model)
    {
        GraphProto graph = model.Graph;
        NodeProto choose = new() { OpType = "If", Name = "optimum::if", Input = { "use_cache_branch" } };
        foreach (string branch in new[] { "then_branch", "else_branch" })
        {
            GraphProto body = new() { Name = branch, Node = { graph.Node.Select(node => node.Clone()) } };
            foreach (NodeProto node in body.Node)
            {
                Rename(node.Input, branch);
                Rename(node.Output, branch);
            }

            body.Output.AddRange(graph.Output.Select(
                output => new ValueInfoProto { Name = $"{output.Name}.{branch}", Type = output.Type }));
            choose.Attribute.Add(new AttributeProto { Name = branch, G = body, Type = AttributeType.Graph });
        }

        choose.Output.AddRange(graph.Output.Select(output => output.Name));
        graph.Node.Clear();
        graph.Node.Add(choose);
        graph.Input.Add(new ValueInfoProto
        {
            Name = "use_cache_branch",
            Type = new TypeProto
            {
                TensorType = new TypeProto.Types.Tensor
                {
                    ElemType = (int)DataType.Bool,
                    Shape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension { DimValue = 1 } } },
                },
            },
        });

        void Rename(IList<string> names, string branch)
        {
            for (int i = 0; i < names.Count; i++)
            {
                bool isLocal = graph.Node.Any(node => node.Output.Contains(names[i])) && names[i].Length > 0;
                names[i] = isLocal ? $"{names[i]}.{branch}" : names[i];
            }
        }
    }
}
