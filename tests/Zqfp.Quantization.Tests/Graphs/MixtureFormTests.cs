using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Mixtures of experts in the spellings and with the routings that exporters have: each is quantized by expert.</summary>
public sealed class MixtureFormTests : IDisposable
{
    private const int Tokens = 512;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Spellings of the products.</summary>
    public static TheoryData<string> Forms => new(
    [
        "pick left separate", "pick right interleaved", "pick turned-after", "pick turned-before", "pick cast-before", "pick cast-after",
        "pick reshaped", "pick reshaped-after", "pick reshaped-three", "pick squeezed", "pick joined",
        "pick einsum-left", "pick einsum-right", "pick tokens",
        "pick tokens einsum", "all repeated", "all scaled", "all left", "all turned", "all four", "all four-ones",
        "all einsum td,edf->tef", "all einsum td,efd->etf", "all einsum etd,edf->etf combined", "all einsum bnk,ekm->benm",
        "loop gemm dense", "loop matmul separate nd", "loop gather", "loop gather dense", "loop split elements", "loop slice",
        "loop gather-vector", "loop three", "sorted", "body", "all repeated clamped", "loop gemm dense clamped",
        "moe relu", "moe gelu", "moe identity", "moe silu fc3", "moe swiglu 0", "moe swiglu 1 gpt-oss",
        "moe swiglu 2",
    ]);

    [Theory]
    [MemberData(nameof(Forms))]
    public void Every_spelling_is_quantized_by_expert_and_nothing_is_lost_on_the_grid(string form) => Check(form, new Mixture());

    /// <summary>Whatever values are named and declared: these graphs declare none.</summary>
    [Theory]
    [MemberData(nameof(Forms))]
    [InlineData("pick tokens separate")]
    [InlineData("pick einsum-left separate")]
    [InlineData("pick tokens einsum separate")]
    [InlineData("all right separate")]
    [InlineData("all turned separate")]
    [InlineData("all four-ones separate")]
    [InlineData("all einsum td,edf->tef separate")]
    [InlineData("all einsum etd,edf->etf combined separate")]
    public void Layers_of_an_expert_know_their_router_what_is_inside_and_what_they_are_joined_to(string form)
    {
        GraphCase model = Model(form, new Mixture());
        using OnnxFile file = OnnxFile.Open(model.Options.ModelPath);
        LinearLayer[] layers = [.. ModelLayers.Of(file, model.Options).Chosen.Select(choice => choice.Layer)];
        LinearLayer[] experts = [.. layers.Where(layer => layer.IsExpert)];
        Assert.Equal(["router.weight"], layers.Where(layer => layer.IsRouter).Select(layer => layer.Weight));
        string router = layers.Single(layer => layer.IsRouter).Name;

        // Rows that are weighted before experts read them are none that the router reads.
        bool isDispatched = form.StartsWith("all scaled", StringComparison.Ordinal) || form.Contains("combined", StringComparison.Ordinal);
        Assert.Equal([isDispatched ? null : router], experts.Select(layer => layer.Router).Distinct());
        const int Experts = 4;
        bool isApart = experts.Length == 3 * Experts;
        Assert.Equal(isApart ? 3 : 2, experts.Length / Experts);
        Assert.Equal(Experts, experts.Count(layer => layer.IsInner));
        Assert.Equal(isApart ? Experts : 0, experts.Count(layer => layer.JoinedTo is not null));
        Assert.DoesNotContain(experts, layer => layer is { IsInner: true, JoinedTo: not null });
    }

    [Theory]
    [InlineData("pick right", 1, "sigmoid")]
    [InlineData("pick tokens", 4, "raw")]
    [InlineData("all right", 1, "largest")]
    [InlineData("loop gather", 2, "groups")]
    [InlineData("all scaled", 2, "groups")]
    [InlineData("moe silu", 4, "raw")]
    [InlineData("moe swiglu 1", 2, "sparse")]
    public void Every_routing_is_followed(string form, int perToken, string routing) =>
        Check(form, new Mixture { Experts = routing == "groups" ? 8 : 4, PerToken = perToken, Routing = routing });

    [Theory]
    [InlineData("pick left")]
    [InlineData("all right")]
    [InlineData("loop gemm")]
    [InlineData("moe swiglu 2 gpt-oss")]
    public void Experts_have_biases(string form) => Check(form, new Mixture { HasBias = true });

    [Theory]
    [InlineData("pick right", nameof(DataType.Float16), 3e-3)]
    [InlineData("moe swiglu 1", nameof(DataType.Float16), 3e-3)]
    [InlineData("all left", nameof(DataType.Bfloat16), 1e-5)]
    public void The_model_may_compute_in_16_bits(string form, string type, double tolerance) =>
        Check(form, new Mixture { Type = Enum.Parse<DataType>(type) }, tolerance);

    [Theory]
    [InlineData("pick left")]
    [InlineData("loop matmul")]
    [InlineData("moe silu")]
    public void A_shared_expert_beside_them_is_a_dense_layer(string form)
    {
        QuantizeReport report = Check(form, new Mixture { HasShared = true });
        Assert.Equal(4 + 3, report.Layers.Count(layer => layer.Tokens is null));
    }

    [Theory]
    [InlineData("pick left")]
    [InlineData("loop gather")]
    [InlineData("moe silu")]
    public void Experts_that_no_token_reaches_keep_their_weights(string form)
    {
        QuantizeReport report = Check(form, new Mixture { Reached = 3 });
        Assert.Equal(2, report.Layers.Count(layer => layer.Tokens == 0));
        Assert.Single(report.Warnings, warning => warning.Code == "ZQFP2104");
    }

    [Fact]
    public void Many_experts_share_few_tokens() => Check("moe silu", new Mixture { Experts = 64 });

    [Theory]
    [InlineData("pick right")]
    [InlineData("moe silu")]
    [InlineData("loop gemm")]
    public void There_may_be_a_single_expert(string form) => Check(form, new Mixture { Experts = 1, PerToken = 1 });

    [Theory]
    [InlineData("pick left")]
    [InlineData("all right")]
    [InlineData("loop gather dense")]
    [InlineData("sorted")]
    [InlineData("moe silu fc3")]
    public void Sizes_may_be_odd(string form)
    {
        Mixture odd = new() { Experts = 5, PerToken = 1, Inner = 37, HasBias = form != "sorted" };
        QuantizeReport report = Check(form, odd);
        GraphCase model = Model(form, odd);
        QuantizeReport all = model.Quantize(model.Options with
        {
            Profiles = [EmissionProfile.Custom, EmissionProfile.Portable, EmissionProfile.Stock],
        });
        Assert.Equal(report.Layers.Count, all.Layers.Count);
        Assert.All(all.Outputs, path => Assert.InRange(model.Compare(path).KullbackLeibler, 0, 0.05));
    }

    [Theory]
    [InlineData("pick left")]
    [InlineData("all scaled")]
    [InlineData("loop split elements")]
    [InlineData("moe swiglu 2 gpt-oss")]
    public void By_default_the_logits_change_little_in_every_profile(string form)
    {
        GraphCase model = Model(form, new Mixture());
        QuantizeReport report = model.Quantize(model.Options with
        {
            Profiles = [EmissionProfile.Custom, EmissionProfile.Portable, EmissionProfile.Stock],
        });
        Assert.All(report.Outputs, path => Assert.InRange(model.Compare(path).KullbackLeibler, 0, 0.02));
    }

    /// <summary>A mixture may be left without a row, as one behind a filter of tokens is.</summary>
    [Theory]
    [InlineData("pick left")]
    [InlineData("pick tokens")]
    [InlineData("loop gather")]
    public void No_row_at_all_gives_no_logits_in_every_profile(string form)
    {
        GraphCase model = Model(form, new Mixture());
        QuantizeReport report = model.Quantize(model.Options with
        {
            Quantization = new() { Method = QuantizationMethod.Rtn },
            Profiles = [EmissionProfile.Custom, EmissionProfile.Portable, EmissionProfile.Stock],
        });
        RuntimeLibrary.Start();
        foreach (string path in report.Outputs)
        {
            using var options = new SessionOptions();
            using var session = new InferenceSession(path, options.AddZqfpOperators());
            using OrtValue tokens = OrtValue.CreateTensorValueFromMemory(Array.Empty<long>(), [1, 0]);
            using OrtValue logits = session.Run(["input_ids"], [tokens], ["logits"])[0];
            Assert.Equal(0, logits.GetTensorTypeAndShape().ElementCount);
        }
    }

    [Theory]
    [InlineData("pick left", true, "If")]
    [InlineData("moe silu", true, "If")]
    [InlineData("loop gather", true, "If")]
    [InlineData("body until", false, "Loop")]
    public void Experts_in_a_body_are_named_with_it_and_stay(string form, bool isInIf, string node)
    {
        GraphCase model = Model(form, new Mixture { IsInBody = isInIf });
        InspectedLayer[] overlooked =
        [
            .. model.Inspect().Layers.Where(layer => layer.Reason?.StartsWith("inside the body", StringComparison.Ordinal) == true)
        ];
        Assert.Equal(form == "loop gather" ? 2 * 4 : 2, overlooked.Length);
        Assert.All(overlooked, layer => Assert.Contains(node, layer.Reason, StringComparison.Ordinal));
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Contains("inside the body", Assert.Single(report.Warnings, warning => warning.Code == "ZQFP2105").Message,
            StringComparison.Ordinal);
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);
    }

    /// <summary>ONNX Runtime's CPU library adds no float16 in ScatterND and ScatterElements.</summary>
    [Theory]
    [InlineData("loop gemm")]
    [InlineData("loop split elements")]
    public void A_loop_in_float16_is_quantized_and_evaluated(string form)
    {
        GraphCase model = Model(form, new Mixture { Type = DataType.Float16 });
        byte[] before = File.ReadAllBytes(model.Options.ModelPath);
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(1, model.Perplexity(report.Output) / model.Perplexity(), 1e-2);
        Assert.InRange(model.Compare(model.Quantize(model.Options).Output).KullbackLeibler, 0, 0.02);
        Assert.Equal(before, File.ReadAllBytes(model.Options.ModelPath));
    }

    /// <summary>Each expert multiplies by a power of ten, so that the output tells the weight of each.</summary>
    [Fact]
    public void The_sparse_mixer_weights_two_experts_among_the_logits_near_each()
    {
        float[] logits = [1, 0.985f, 0.99f, -3, /**/ 2, 1.9f, 1.89f, 1.88f, /**/ -1, -1.005f, -5, -1.01f];
        MixtureNodes nodes = new(DataType.Float);
        nodes.Graph.Input.Add(new ValueInfoProto
        {
            Name = "router",
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Float } },
        });
        string made = nodes.Node("MoE",
            [
                nodes.Constant([1, 1, 1], 3, 1), "router", nodes.Constant([1, 1, 1, 1], 4, 1, 1), "",
                nodes.Constant([1, 10, 100, 1000], 4, 1, 1),
            ],
            FamilyNodes.Int("k", 2), MixtureNodes.Text("activation_type", "identity"), FamilyNodes.Int("use_sparse_mixer", 1));
        nodes.Graph.Output.Add(new ValueInfoProto { Name = made, Type = nodes.Graph.Input[0].Type });
        string path = Path.Combine(_folder, "mixer.onnx");
        File.WriteAllBytes(path, nodes.Model().ToByteArray());
        using OnnxFile file = OnnxFile.Open(path);
        using var session = ModelSession.Open(
            new ModelRewriter(file, LinearForms.Plain(new GraphIndex(file.Graph, path), path)).Whole(), new SessionSettings(1));
        using var router = OrtValue.CreateTensorValueFromMemory(logits, [3, 4]);
        using OrtValue y = session.Run([router], [made], CancellationToken.None)[0];

        float Near(float own, params float[] others) => 1 / (1 + others.Sum(other => MathF.Exp(other - own)));
        float[] expected =
        [
            (1 * Near(1, 0.985f, 0.99f)) + (100 * Near(0.99f, 0.985f)),
            (1 * Near(2)) + (10 * Near(1.9f, 1.89f, 1.88f)),
            (1 * Near(-1, -1.005f, -1.01f)) + (10 * Near(-1.005f, -1.01f)),
        ];
        Assert.All(expected.Zip(y.GetTensorDataAsSpan<float>().ToArray()), pair => Assert.Equal(pair.First, pair.Second, 1e-4f));
    }

    /// <summary>Quantizes without loss and checks that every expert saw its tokens and no others.</summary>
    private QuantizeReport Check(string form, Mixture mixture, double tolerance = 1e-5)
    {
        GraphCase model = Model(form, mixture);
        Assert.DoesNotContain(model.Inspect().Layers, layer => layer.Reason is not (null or "makes the logits"));
        QuantizeReport report = model.Quantize(model.Exact);
        LayerReport[] experts = [.. report.Layers.Where(layer => layer.Tokens is not null)];
        Assert.Equal(0, experts.Length % mixture.Experts);
        Assert.InRange(experts.Length / mixture.Experts, 2, 3);

        Assert.Equal((long)Tokens * mixture.PerToken * experts.Length / mixture.Experts, experts.Sum(layer => layer.Tokens!.Value));
        Assert.Equal(1, report.Coverage!.BodyShare);
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, tolerance);
        return report;
    }

    private GraphCase Model(string form, Mixture mixture)
    {
        string tokens = TinyDecoder.WriteTokens(_folder, Tokens);
        return new GraphCase(MixtureGraph.Write(_folder, form, mixture), tokens, tokens, _folder);
    }
}
