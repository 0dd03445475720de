using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

/// <summary>
/// Graphs with one peculiarity each, made after what users of ONNX tools reported; <c>tests/Cases/README.md</c> lists them.
/// </summary>
public sealed class GraphCaseTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// The perplexity of each float model is ONNX Runtime's own; its weights lie on the FP4 grid, so that the exact recipe loses nothing.
    /// </summary>
    [Theory]
    [InlineData("base", 1907.137, 14)]
    [InlineData("parallel", 1824.610, 14)]
    [InlineData("moe_dense", 1806.212, 28)]
    [InlineData("init_output", 1907.137, 14)]
    [InlineData("hidden_first", 2093.41, 14)]
    [InlineData("constnodes", 1907.137, 14)]
    [InlineData("relpos_const", 1868.841, 16)]
    [InlineData("sequence", 1586.046, 14)]
    [InlineData("fused_head", 34589503237352.4, 14)]
    [InlineData("gemm_1N", 1710.502, 14)]
    [InlineData("moe_dead0", 2240.255, 20)]
    [InlineData("aionnx_domain", 1907.137, 14)]
    [InlineData("dim_minus1", 1907.137, 14)]
    [InlineData("batch1_fixed", 1907.137, 14)]
    [InlineData("pos_rank1", 1981.701, 14)]
    [InlineData("names_clash", 1907.137, 14)]
    [InlineData("moe_batched", 538.7522, 26)]
    [InlineData("moe_loop", 538.7522, 34)]
    [InlineData("moe_operator", 538.7522, 26)]
    public void All_layers_are_found_and_with_weights_on_the_grid_the_logits_are_the_float_models(
        string name, double perplexity, int layers)
    {
        GraphCase model = Case(name);
        Assert.Equal(1, model.Perplexity() / perplexity, 1e-5);
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(layers, report.Layers.Count);
        Assert.InRange(model.Compare(report.Output).LargestDifference, 0, 1e-5 * Math.Max(1, LargestLogit(name)));
    }

    [Theory]
    [InlineData("base")]
    [InlineData("parallel")]
    [InlineData("moe_dense")]
    [InlineData("init_output")]
    [InlineData("hidden_first")]
    [InlineData("constnodes")]
    [InlineData("relpos_const")]
    [InlineData("sequence")]
    [InlineData("fused_head")]
    [InlineData("gemm_1N")]
    [InlineData("moe_dead0")]
    [InlineData("aionnx_domain")]
    [InlineData("dim_minus1")]
    [InlineData("batch1_fixed")]
    [InlineData("fp16_overflow")]
    [InlineData("pos_rank1")]
    [InlineData("names_clash")]
    [InlineData("moe_batched")]
    [InlineData("moe_loop")]
    [InlineData("moe_operator")]
    public void The_default_recipe_changes_the_logits_little(string name)
    {
        GraphCase model = Case(name);
        QuantizeReport report = model.Quantize(model.Options with { Profiles = [EmissionProfile.Custom, EmissionProfile.Portable] });
        Assert.All(report.Outputs, output => Assert.InRange(model.Compare(output).KullbackLeibler, 0, 0.1));
    }

    [Fact]
    public void A_float16_residual_stream_beyond_65504_quantizes_and_evaluates_as_onnx_runtime_computes_it()
    {
        GraphCase model = Case("fp16_overflow");
        double floating = model.Perplexity();
        QuantizeReport report = model.Quantize(model.Exact);
        Assert.Equal(14, report.Layers.Count);
        Assert.Equal(1, model.Perplexity(report.Output) / floating, 0.02);
    }

    [Fact]
    public void Logits_of_the_last_token_by_a_slice_are_ZQFP1008_before_any_work()
    {
        GraphCase model = Case("last_token");
        Assert.Equal("ZQFP1008", Assert.Throws<ZqfpException>(() => model.Quantize(model.Options)).Code);
        ZqfpException measured = Assert.Throws<ZqfpException>(() => model.Perplexity());
        Assert.Equal("ZQFP1008", measured.Code);
        Assert.Contains("picks tokens before the head", measured.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(model.Options.OutputPath));
    }

    [Fact]
    public void An_initializer_that_is_an_output_is_still_one()
    {
        GraphCase model = Case("init_output");
        using OnnxRewriter.OnnxFile written = OnnxRewriter.OnnxFile.Open(model.Quantize(model.Exact).Output);
        Assert.Contains(written.Graph.Output, output => written.Graph.Initializer.Any(tensor => tensor.Name == output.Name));
    }

    [Fact]
    public void An_expert_that_no_token_reaches_keeps_its_weights_and_is_named()
    {
        GraphCase model = Case("moe_dead0");
        QuantizeReport report = model.Quantize(model.Exact);
        Diagnostic warning = Assert.Single(report.Warnings, warning => warning.Code == "ZQFP2104");
        Assert.Contains("e1.down_proj", warning.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_head_of_a_fused_product_is_the_head_and_stays_as_it_is()
    {
        GraphCase model = Case("fused_head");
        Assert.DoesNotContain(model.Inspect().Layers, layer => layer.Reason is "makes the logits");
        using OnnxRewriter.OnnxFile written = OnnxRewriter.OnnxFile.Open(model.Quantize(model.Exact).Output);
        Assert.Single(written.Graph.Node, node => node.OpType == "FusedMatMul");
    }

    private GraphCase Case(string name)
    {
        string Path(string file) => Repository.Path($"tests/Cases/{name}/{file}");
        return new GraphCase(Path("model.onnx"), Path("cal.i16"), Path(name == "hidden_first" ? "eval32.i16" : "eval.i16"), _folder);
    }

    /// <summary>Rounding grows with the logits: those of a random tied head are large.</summary>
    private static double LargestLogit(string name) => name == "fused_head" ? 100 : 1;
}
