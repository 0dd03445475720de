using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Quantization.Tests;

/// <summary>One mixture of experts (2 blocks of 4 experts, each token to 2 of them) in three spellings.</summary>
public sealed class MixtureTests : IDisposable
{
    private const int Experts = 4;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("moe_batched")]
    [InlineData("moe_operator")]
    [InlineData("moe_loop")]
    public void Every_expert_tells_how_many_tokens_the_router_sent_it(string name)
    {
        GraphCase model = Case(name);
        QuantizeReport report = model.Quantize(model.Exact);
        LayerReport[] experts = [.. report.Layers.Where(layer => layer.Tokens is not null)];
        Assert.Equal(name == "moe_loop" ? 2 * Experts * 3 : 2 * Experts * 2, experts.Length);
        int tokens = report.CalibrationWindows * 32;
        Assert.Equal(2L * tokens * experts.Length / Experts, experts.Sum(layer => layer.Tokens!.Value));
        Assert.All(experts, layer => Assert.InRange(layer.Tokens!.Value, 1, tokens - 1));
    }

    [Fact]
    public void Batched_experts_and_a_loop_over_them_see_the_same_tokens()
    {
        // Weights on the grid are not changed by rounding, so that the routers of both decide alike.
        long[] Tokens(string name, int perExpert)
        {
            GraphCase model = Case(name);
            return
            [
                .. model.Quantize(model.Exact).Layers.Where(layer => layer.Tokens is not null)
                    .Select(layer => layer.Tokens!.Value).Order().Chunk(perExpert).Select(one => one[0])
            ];
        }

        Assert.Equal(Tokens("moe_batched", 2), Tokens("moe_loop", 3));
    }

    /// <summary>
    /// By default, with targets, rotation and low-rank factors, though the loop has gate and up projections apart; in every profile.
    /// </summary>
    [Fact]
    public void Batched_experts_and_a_loop_over_them_quantize_to_the_same_numbers()
    {
        (QuantizeReport Report, double[] Perplexities) Run(string name)
        {
            GraphCase model = OffTheGrid(name);
            QuantizeReport report = model.Quantize(QuantizePreset.Default.Apply(model.Options with
            {
                OutputPath = Path.Combine(_folder, name, "model.onnx"),
                Profiles = [EmissionProfile.Custom, EmissionProfile.Portable, EmissionProfile.Stock],
                AccuracyLevel = 1,
            }));
            Assert.All(report.Layers, layer => Assert.True(layer.OutputError > 0, layer.Name));
            Assert.Contains(report.Layers, layer => layer is { Tokens: not null, Ridge: not null });
            Assert.Contains(report.Layers, layer => layer is { Tokens: null, Ridge: not null });
            Assert.Contains(report.Layers, layer => layer is { Tokens: not null, Rotation: > 0 });
            return (report, [.. report.Outputs.Select(output => model.Perplexity(output))]);
        }

        (QuantizeReport batched, double[] ofBatched) = Run("moe_batched");
        (QuantizeReport loop, double[] ofLoop) = Run("moe_loop");
        Assert.Equal(ofBatched[0], ofLoop[0], 1e-9);
        Assert.All(ofBatched.Zip(ofLoop), pair => Assert.Equal(1, pair.Second / pair.First, 1e-5));
        Assert.Equal(batched.BitsPerWeight, loop.BitsPerWeight, 1e-9);
        using OnnxFile written = OnnxFile.Open(loop.Output);
        int factors = written.Graph.Initializer.Count(tensor => loop.Layers.Any(
            layer => layer.Tokens is not null && tensor.Name == $"{layer.Name}.zqfp.down"));
        Assert.Equal(2 * Experts * 2, factors);
    }

    [Theory]
    [InlineData("moe_batched", nameof(EmissionProfile.Stock))]
    [InlineData("moe_operator", nameof(EmissionProfile.Stock))]
    [InlineData("moe_batched", nameof(EmissionProfile.Portable))]
    [InlineData("moe_operator", nameof(EmissionProfile.Portable))]
    [InlineData("moe_batched", nameof(EmissionProfile.Qdq))]
    [InlineData("moe_operator", nameof(EmissionProfile.Qdq))]
    public void With_weights_on_the_grid_every_profile_has_the_float_models_logits(string name, string profile)
    {
        GraphCase model = Case(name);
        QuantizeReport report = model.Quantize(model.Exact with { Profiles = [Enum.Parse<EmissionProfile>(profile)], AccuracyLevel = 1 });
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 2e-5);
    }

    [Theory]
    [InlineData("moe_batched")]
    [InlineData("moe_loop")]
    public void The_hybrid_has_FP4_experts_FP8_for_all_else_and_float_routers(string name)
    {
        GraphCase model = Case(name);
        QuantizeOptions options = QuantizePreset.Hybrid.Apply(model.Options);
        QuantizeReport report = model.Quantize(options);
        Assert.Equal(2, report.Coverage!.Exceptions.Count(weight => weight.Reason == "decides which expert a token goes to"));
        Assert.All(report.Layers, layer => Assert.Equal(layer.Tokens is not null ? 4 : 8, (int)layer.BitsPerWeight / 4 * 4));
        Assert.All(report.Layers, layer => Assert.Equal(layer.Tokens is null, layer.Rank == 0));
        Assert.InRange(model.Compare(report.Output).KullbackLeibler, 0, 0.1);
    }

    [Theory]
    [InlineData("moe_batched", false)]
    [InlineData("moe_operator", true)]
    public void Formats_of_MX_and_DeepSeek_are_the_same_numbers_in_every_profile(string name, bool isSquare)
    {
        GraphCase model = Case(name);
        QuantizationOptions weights = isSquare
            ? new() { Format = NumberFormat.E4M3, GroupSize = QuantizationOptions.SquareBlock, GroupRows = QuantizationOptions.SquareBlock }
            : new() { GroupSize = QuantizationOptions.MxGroup };
        QuantizeOptions options = model.Options with
        {
            Activations = ActivationFormat.None,
            AccuracyLevel = 1,
            Profiles = [EmissionProfile.Custom, EmissionProfile.Portable, EmissionProfile.Qdq, EmissionProfile.Stock],
            Quantization = weights with { Method = QuantizationMethod.Rtn, Rank = 0, Constraint = ScaleConstraint.Ue8M0 },
        };
        QuantizeReport report = model.Quantize(options);
        Assert.InRange(model.Compare(report.Output).KullbackLeibler, 1e-9, 0.1);
        var custom = new GraphCase(report.Output, Data(name, "cal.i16"), Data(name, "eval.i16"), _folder);
        Assert.All(report.Outputs.Skip(1), path => Assert.InRange(custom.Compare(path).LargestDifference, 0, 2e-5));
    }

    [Fact]
    public void The_hybrid_of_MX_has_dense_layers_in_squares()
    {
        GraphCase model = Case("moe_batched");
        QuantizeOptions options = QuantizePreset.Hybrid.Apply(model.Options with
        {
            Quantization = new() { GroupSize = QuantizationOptions.MxGroup, Constraint = ScaleConstraint.Ue8M0 },
        });
        ModelLayers layers = Layers(options);
        Assert.All(layers.Chosen, choice => Assert.Equal(
            choice.Layer.IsExpert ? (NumberFormat.E2M1, 32, 1) : (NumberFormat.E4M3, 128, 128),
            (choice.Options.Format, choice.Options.GroupSize, choice.Options.GroupRows)));

        static ModelLayers Layers(QuantizeOptions options)
        {
            using OnnxFile file = OnnxFile.Open(options.ModelPath);
            return ModelLayers.Of(file, options);
        }
    }

    /// <summary>Only what is written apart is joined: the up projections of the loop, to their gates.</summary>
    [Theory]
    [InlineData("moe_batched", 0)]
    [InlineData("moe_operator", 0)]
    [InlineData("moe_loop", 2 * Experts)]
    public void Layers_of_an_expert_know_their_router_what_is_inside_and_what_they_are_joined_to(string name, int joined)
    {
        using OnnxFile file = OnnxFile.Open(Case(name).Options.ModelPath);
        LinearLayer[] layers = [.. ModelLayers.Of(file, Case(name).Options).Chosen.Select(choice => choice.Layer)];
        string[] routers = [.. layers.Where(layer => layer.IsRouter).Select(layer => layer.Name)];
        Assert.Equal(2, routers.Length);
        LinearLayer[] experts = [.. layers.Where(layer => layer.IsExpert)];
        Assert.Equal(2 * Experts, experts.Count(layer => layer.IsInner));
        Assert.All(experts, layer => Assert.Contains(layer.Router, routers));
        Assert.All(layers.Where(layer => !layer.IsExpert), layer => Assert.True(layer is { IsInner: false, Router: null, JoinedTo: null }));
        Assert.Equal(joined, layers.Count(layer => layer.JoinedTo is not null));
        Assert.All(layers.Where(layer => layer.JoinedTo is not null), layer => Assert.Equal(
            layer.Input, layers.Single(other => other.Name == layer.JoinedTo && other.RoutedBy == layer.RoutedBy).Input));
    }

    [Fact]
    public void A_model_without_experts_in_the_hybrid_is_warned_about()
    {
        GraphCase model = Case("base");
        Assert.Single(model.Quantize(QuantizePreset.Hybrid.Apply(model.Options)).Warnings, warning => warning.Code == "ZQFP2040");
    }

    [Fact]
    public void A_pattern_that_means_some_experts_of_one_constant_is_ZQFP1040()
    {
        GraphCase model = Case("moe_batched");
        QuantizeOptions options = model.Exact with
        {
            Selection = new LayerSelection { Exclude = ["*experts.1.fc1"] },
        };
        ZqfpException refused = Assert.Throws<ZqfpException>(() => PlanJob.Run(options, CancellationToken.None));
        Assert.Equal("ZQFP1040", refused.Code);
        Assert.Contains("experts.1.fc1' float", refused.Message, StringComparison.Ordinal);
        Assert.Equal("ZQFP1040", Assert.Throws<ZqfpException>(() => model.Quantize(options)).Code);
    }

    [Fact]
    public void A_budget_that_experts_exceed_names_them()
    {
        GraphCase model = Case("moe_batched");
        QuantizeOptions options = model.Options with { Budget = new Budget { Bits = 4.01 } };
        ZqfpException refused = Assert.Throws<ZqfpException>(() => PlanJob.Run(options, CancellationToken.None));
        Assert.Equal("ZQFP0034", refused.Code);
        Assert.Contains("such as experts", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("moe_batched", "*.fc1")]
    [InlineData("moe_operator", "*/fc2/*")]
    public void Experts_that_stay_float_are_standard_nodes(string name, string excluded)
    {
        GraphCase model = Case(name);
        QuantizeReport report = model.Quantize(model.Exact with { Selection = new LayerSelection { Exclude = [excluded] } });
        using OnnxFile written = OnnxFile.Open(report.Output);
        Assert.DoesNotContain(written.Graph.Node, node => node.OpType == OperatorNames.ExpertMatMul);
        Assert.Equal(2, written.Graph.Node.Count(node => node.OpType == "ExpertMatMulW4A16"));
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5);
    }

    [Fact]
    public void FP4_experts_behind_DequantizeLinear_are_evaluated()
    {
        GraphCase model = Case("moe_batched");
        string path = model.Quantize(model.Exact with { Profiles = [EmissionProfile.Qdq] }).Output;
        GraphCase coded = new(path, Data("moe_batched", "cal.i16"), Data("moe_batched", "eval.i16"), Path.Combine(_folder, "again"));
        Assert.Equal(1, coded.Perplexity() / 538.7522, 1e-5);
    }

    /// <summary>The model with each number of its matrices moved off the FP4 grid by what it is: alike in every spelling.</summary>
    private GraphCase OffTheGrid(string name)
    {
        string path = Path.Combine(_folder, $"{name}.onnx");
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Data(name, "model.onnx")));
        foreach (TensorProto tensor in model.Graph.Initializer.Where(
            tensor => tensor.DataType == (int)TensorProto.Types.DataType.Float && tensor.Dims.Count > 1))
        {
            float[] numbers = [.. MemoryMarshal.Cast<byte, float>(tensor.RawData.Span)];
            Assert.NotEmpty(numbers);
            float[] moved = [.. numbers.Select(number => number * (1 + (0.2f * MathF.Cos(97 * number))))];
            tensor.RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(moved));
        }

        File.WriteAllBytes(path, model.ToByteArray());
        return new GraphCase(path, Data(name, "cal.i16"), Data(name, "eval.i16"), _folder);
    }

    private GraphCase Case(string name) =>
        new(Data(name, "model.onnx"), Data(name, "cal.i16"), Data(name, "eval.i16"), _folder);

    private static string Data(string name, string file) => Repository.Path($"tests/Cases/{name}/{file}");
}
