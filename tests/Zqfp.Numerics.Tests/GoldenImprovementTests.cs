
namespace Zqfp.Numerics.Tests;

/// <summary>What the recipe's extensions gain on real layers; each figure is the measured one with a margin.</summary>
public sealed class GoldenImprovementTests
{
    private const string Layers = "golden/layers.safetensors";
    private static readonly QuantizationOptions Paper = new();

    [ReferenceTheory(Layers)]
    [InlineData("q_proj", 0.94)]
    [InlineData("down_proj", 0.94)]
    public void Searched_scales(string layer, double limit) => AssertGain(layer, limit, Paper with { ScaleSearch = ScaleSearch.Pivot });

    [ReferenceTheory(Layers)]
    [InlineData("q_proj", 0.95)]
    [InlineData("down_proj", 0.97)]
    public void Act_order(string layer, double limit) => AssertGain(layer, limit, Paper with { ActOrder = true });

    [ReferenceTheory(Layers)]
    [InlineData("q_proj", 0.94)]
    [InlineData("down_proj", 0.99)]
    public void A_low_rank_correction_weighted_by_activations(string layer, double limit) =>
        AssertGain(layer, limit, Paper with { LowRankWeighting = LowRankWeighting.ActivationWeighted });

    [ReferenceTheory(Layers)]
    [InlineData("q_proj", 0.90)]
    [InlineData("down_proj", 0.92)]
    public void Coordinate_descent(string layer, double limit) => AssertGain(layer, limit, Paper with { RefineSweeps = 2 });

    [ReferenceTheory(Layers)]
    [InlineData("q_proj", 0.74)]
    [InlineData("down_proj", 0.79)]
    public void All_together_with_a_refit(string layer, double limit) => AssertGain(layer, limit, Paper with
    {
        ScaleSearch = ScaleSearch.Pivot,
        ActOrder = true,
        RefineSweeps = 2,
        LowRankWeighting = LowRankWeighting.ActivationWeighted,
        LowRankRefits = 1,
    });

    private static void AssertGain(string layer, double limit, QuantizationOptions options)
    {
        var file = new Safetensors(Repository.Reference(Layers));
        (float[] weights, int rows, int columns) = file[$"{layer}.W"];
        using Hessian hessian = Hessian.FromDense(file[$"{layer}.H"].Values, columns);
        double paper = LayerQuantizer.Quantize(weights, rows, columns, hessian, Paper).Loss;
        double improved = LayerQuantizer.Quantize(weights, rows, columns, hessian, options).Loss;
        Assert.InRange(improved / paper, 0, limit);
    }
}
