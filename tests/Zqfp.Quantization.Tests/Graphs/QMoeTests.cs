using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Quantization.Tests;

/// <summary>Models whose experts are QMoE: read as such, evaluated, passed on or quantized again.</summary>
public sealed class QMoeTests : IDisposable
{
    private const int Experts = 4, Blocks = 2;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string, int, int, bool> Forms => new()
    {
        { "int", 4, 0, false }, { "int", 4, 0, true }, { "int", 4, 32, false }, { "int", 4, 16, true },
        { "int", 8, 0, false }, { "int", 8, 32, true }, { "int", 2, 16, false }, { "int", 2, 0, true },
        { "fp4", 4, 0, false }, { "wfp4afp8", 4, 0, false }, { "nvfp4", 4, 0, false }, { "fp8", 8, 0, false },
    };

    [Theory]
    [MemberData(nameof(Forms))]
    public void The_experts_are_the_numbers_that_their_codes_stand_for(string kind, int bits, int block, bool hasZeroPoints)
    {
        (GraphCase quantized, string twin) = Model(new QMoeForm(kind, bits, block, hasZeroPoints));
        float[] expected = Logits(twin);
        float[] actual = Logits(quantized.Options.ModelPath);
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 2e-5f));
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void The_model_is_evaluated_as_it_is(string kind, int bits, int block, bool hasZeroPoints)
    {
        (GraphCase quantized, string twin) = Model(new QMoeForm(kind, bits, block, hasZeroPoints));
        var reference = new GraphCase(twin, Data("cal.i16"), Data("eval.i16"), _folder);

        // ONNX Runtime's kernels of integers round the input of 8-bit products to 8 bits too; the others are run in float32.
        Assert.Equal(1, quantized.Perplexity() / reference.Perplexity(), kind == "int" ? 5e-3 : 1e-5);
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Every_expert_is_a_layer_of_the_type_of_its_codes(string kind, int bits, int block, bool hasZeroPoints)
    {
        InspectReport report = Model(new QMoeForm(kind, bits, block, hasZeroPoints)).Quantized.Inspect();
        InspectedLayer[] experts = [.. report.Layers.Where(layer => layer.Experts is not null)];
        Assert.Equal(Blocks * 2 * Experts, experts.Length);
        string type = kind == "int" ? $"uint{bits}" : kind == "fp8" ? "float8e4m3fn" : "float4e2m1";
        Assert.All(experts, layer => Assert.Equal(type, layer.Type));
        Assert.All(experts, layer => Assert.Null(layer.Reason));
        Assert.Equal(experts[0].Shape[0] * experts[0].Shape[1] * bits / 8, experts[0].Bytes);
    }

    [Theory]
    [InlineData("int", 4, 32)]
    [InlineData("fp4", 4, 0)]
    public void Experts_that_are_left_out_are_passed_on_as_they_are(string kind, int bits, int block)
    {
        (GraphCase quantized, _) = Model(new QMoeForm(kind, bits, block));
        QuantizeReport report = quantized.Quantize(quantized.Exact with
        {
            Selection = new LayerSelection { Exclude = ["*/experts.*"] },
        });
        using OnnxFile written = OnnxFile.Open(report.Output);
        NodeProto[] kept = [.. written.Graph.Node.Where(node => node.OpType == "QMoE")];
        Assert.Equal(Blocks, kept.Length);
        using OnnxFile original = OnnxFile.Open(quantized.Options.ModelPath);
        foreach (string name in kept.SelectMany(node => node.Input.Skip(2)).Where(name => name.Length > 0))
        {
            Assert.Equal(Bytes(original, name), Bytes(written, name));
        }

        Assert.InRange(quantized.Compare(report.Output).LargestDifference, 0, 1e-4);
    }

    [Theory]
    [InlineData("int", 4, 32)]
    [InlineData("nvfp4", 4, 0)]
    [InlineData("fp8", 8, 0)]
    public void They_are_quantized_again_with_their_own_tokens(string kind, int bits, int block)
    {
        (GraphCase quantized, _) = Model(new QMoeForm(kind, bits, block));
        QuantizeReport report = quantized.Quantize(quantized.Options);
        Assert.All(report.Layers.Where(layer => layer.Name.Contains("/experts.", StringComparison.Ordinal)),
            layer => Assert.True(layer.Tokens > 0));
        using OnnxFile written = OnnxFile.Open(report.Output);
        Assert.DoesNotContain(written.Graph.Node, node => node.OpType is "QMoE" or "DequantizeLinear");
        Assert.DoesNotContain(written.Graph.Initializer, tensor => tensor.Name.Contains(".codes", StringComparison.Ordinal)
            && !tensor.Name.Contains(".zqfp.", StringComparison.Ordinal));
        Assert.InRange(quantized.Compare(report.Output).KullbackLeibler, 0, 0.2);
    }

    /// <summary>
    /// The second router says what the first does, as its probabilities: normalized, they are the softmax of the k largest.
    /// </summary>
    [Theory]
    [InlineData("int", 4, 32)]
    [InlineData("fp4", 4, 0)]
    public void A_second_router_weights_what_the_first_chose(string kind, int bits, int block)
    {
        (GraphCase quantized, string twin) = Model(new QMoeForm(kind, bits, block));
        string path = quantized.Options.ModelPath;
        AddRouters(path, "Softmax");
        Assert.All(Logits(twin).Zip(Logits(path)), pair => Assert.Equal(pair.First, pair.Second, 2e-5f));
        var reference = new GraphCase(twin, Data("cal.i16"), Data("eval.i16"), _folder);
        Assert.Equal(1, quantized.Perplexity() / reference.Perplexity(), kind == "int" ? 5e-3 : 1e-5);
        QuantizeReport report = quantized.Quantize(quantized.Options);
        Assert.All(report.Layers.Where(layer => layer.Name.Contains("/experts.", StringComparison.Ordinal)),
            layer => Assert.True(layer.Tokens > 0));
    }

    /// <summary>8-bit products round their input in ONNX Runtime's kernel; a second router changes the logits ten times as much.</summary>
    [Fact]
    public void ONNX_Runtimes_kernel_takes_the_second_router_alike()
    {
        string path = Model(new QMoeForm("int", bits: 8, block: 32)).Quantized.Options.ModelPath;
        float[] before = Logits(path);
        AddRouters(path, "Sigmoid");
        float[] after = Logits(path);
        Assert.InRange(Difference(before, after), 0.1, 0.3);
        using ModelSession session = ModelSession.Open(ModelFacts.Read(path), new SessionSettings(1), ZqfpDevice.Cpu);
        Assert.InRange(Difference(Logits(path, session), after), 0, 0.03);

        static float Difference(float[] one, float[] other) => one.Zip(other).Max(pair => Math.Abs(pair.First - pair.Second));
    }

    [Fact]
    public void Weights_packed_for_one_provider_stay_as_they_are_and_are_named()
    {
        (GraphCase quantized, _) = Model(new QMoeForm("int"), node => node.Attribute.Add(FamilyNodes.Int("weights_prepacked", 1)));
        Assert.Contains(quantized.Inspect().Layers, layer => layer.Reason?.Contains("QMoE", StringComparison.Ordinal) == true);
    }

    /// <summary>Gives every QMoE a second router: the first, and an activation.</summary>
    private static void AddRouters(string path, string activation)
    {
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        for (int i = 0; i < model.Graph.Node.Count; i++)
        {
            NodeProto node = model.Graph.Node[i];
            if (node.OpType == "QMoE")
            {
                node.Input.Add(Enumerable.Repeat("", Math.Max(0, 15 - node.Input.Count)));
                node.Input[14] = $"{node.Name}_shares";
                NodeProto shares = new()
                {
                    OpType = activation,
                    Name = node.Input[14],
                    Input = { node.Input[1] },
                    Output = { node.Input[14] },
                };
                model.Graph.Node.Insert(i++, shares);
            }
        }

        File.WriteAllBytes(path, model.ToByteArray());
    }

    /// <summary>The logits of a model whose mixtures are spelled as products.</summary>
    private static float[] Logits(string path)
    {
        using OnnxFile file = OnnxFile.Open(path);
        GraphIndex plain = LinearForms.Plain(new GraphIndex(file.Graph, path), path);
        Assert.DoesNotContain(plain.Nodes, node => node.OpType is "MoE" or "QMoE");
        using var session = ModelSession.Open(new ModelRewriter(file, plain).Whole(), new SessionSettings(1));
        return Logits(path, session);
    }

    private static float[] Logits(string path, ModelSession session)
    {
        int[] ids = [.. Enumerable.Range(0, 32).Select(i => i * 7 % 512)];
        ModelFacts facts = ModelFacts.Read(path);
        OrtValue[] made = session.Run(
            new TokenFeeds(facts), new TokenBatch(ids, Windows: 1, Length: ids.Length), [facts.Logits], CancellationToken.None);
        using OrtValue logits = made[0];
        return logits.GetTensorDataAsSpan<float>().ToArray();
    }

    private static byte[] Bytes(OnnxFile file, string name)
    {
        TensorData data = file.Read(file.Graph.Initializer.Single(tensor => tensor.Name == name));
        return data.Slice(0, (int)data.ByteLength).ToArray();
    }

    private (GraphCase Quantized, string Twin) Model(QMoeForm form, Action<NodeProto>? change = null)
    {
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Data("model.onnx")));
        ModelProto twin = model.Clone();
        form.Spell(model, twin);
        model.Graph.Node.Where(node => node.OpType == "QMoE").ToList().ForEach(change ?? (_ => { }));
        string path = Path.Combine(_folder, "qmoe.onnx");
        string twinPath = Path.Combine(_folder, "twin.onnx");
        File.WriteAllBytes(path, model.ToByteArray());
        File.WriteAllBytes(twinPath, twin.ToByteArray());
        return (new GraphCase(path, Data("cal.i16"), Data("eval.i16"), _folder), twinPath);
    }

    private static string Data(string file) => Repository.Path($"tests/Cases/moe_operator/{file}");
}
