using Zqfp.Numerics;
using Zqfp.Numerics.Tests;

namespace Zqfp.CudaOps.Tests;

/// <summary>
/// Quantizing on a GPU gives the processor's bits. Here the kernels run on the processor; <c>Zqfp.GpuBench quantize</c> does the same
/// comparisons on a GPU.
/// </summary>
public sealed class LayerDeviceTests(EmulatedDevice device) : IClassFixture<EmulatedDevice>
{
    private static readonly QuantizationOptions Paper = new() { MaxThreads = 2 };

    [EmulationTheory]
    [InlineData(40, 3)]
    [InlineData(256, 600)]
    [InlineData(300, 777)]
    public void Moments_are_summed_as_the_processor_sums_them(int columns, int tokens)
    {
        const int Outputs = 150;
        float[] x = RandomData.Tokens(tokens, columns, 1);
        float[] t = RandomData.Tokens(tokens, Outputs, 2);
        (float[] hessian, float[] moment) = Sum(null);
        (float[] actual, float[] actualMoment) = Sum(device.Layers);
        Assert.Equal(hessian, actual);
        Assert.Equal(moment, actualMoment);

        (float[] Hessian, float[] Moment) Sum(ILayerDevice? on)
        {
            using var sums = new GramAccumulator(columns, new Workers(2, default, on), Outputs);
            sums.Add(tokens, places =>
            {
                for (int i = 0; i < places.Count; i++)
                {
                    places.Set(i, x.AsSpan((places.First + i) * columns, columns));
                    places.SetBeside(0, i, t.AsSpan((places.First + i) * Outputs, Outputs));
                }
            });
            using Hessian summed = sums.ToHessian();
            using CrossMoment beside = sums.TakeBeside(0, tokens);
            float[] values = new float[columns * columns];
            summed.CopyTo(values);
            return (values, [.. Enumerable.Range(0, Outputs).SelectMany(row => beside.Row(row).ToArray())]);
        }
    }

    public static TheoryData<string> Recipes() => [.. Cases.Keys];

    [EmulationTheory]
    [MemberData(nameof(Recipes))]
    public void A_layer_gets_the_codes_scales_and_factors_that_the_processor_gives_it(string recipe)
    {
        (int rows, int columns, QuantizationOptions options) = Cases[recipe];
        float[] weights = RandomData.Uniform(rows * columns, 3, 0.05f);
        using Hessian hessian = RandomData.Hessian(columns, 4);
        QuantizedLayer expected = LayerQuantizer.Quantize("layer", weights, rows, columns, hessian, options);
        Assert.True(device.Layers.Serves(options));
        QuantizedLayer actual = LayerQuantizer.Quantize("layer", weights, rows, columns, hessian, options, device.Layers);
        Assert.Equal(expected.Weights.Codes, actual.Weights.Codes);
        Assert.Equal(expected.Weights.RowScales, actual.Weights.RowScales);
        Assert.Equal(expected.Weights.Exponents, actual.Weights.Exponents);
        Assert.Equal(expected.Weights.GroupScales, actual.Weights.GroupScales);
        Assert.Equal(expected.LowRank?.Down, actual.LowRank?.Down);
        Assert.Equal(expected.LowRank?.Up, actual.LowRank?.Up);
        Assert.InRange(actual.Loss / expected.Loss, 1 - 1e-5, 1 + 1e-5);
        Assert.Equal(expected.Warnings, actual.Warnings);
    }

    private static Dictionary<string, (int Rows, int Columns, QuantizationOptions Options)> Cases => new()
    {
        ["the paper's"] = (300, 520, Paper),
        ["smaller than a tile"] = (7, 33, Paper),
        ["whole tiles"] = (256, 384, Paper),
        ["GPTQ alone"] = (130, 200, Paper with { Rank = 0 }),
        ["odd columns"] = (65, 161, Paper with { Rank = 2 }),
        ["act-order, weighted"] = (300, 290, Paper with { ActOrder = true, LowRankWeighting = LowRankWeighting.ActivationWeighted }),
        ["INT4, small groups"] = (70, 200, Paper with { Format = NumberFormat.Int4, GroupSize = 32, Constraint = ScaleConstraint.None }),
        ["E4M3"] = (70, 200, Paper with { Format = NumberFormat.E4M3 }),
        ["E3M0"] = (70, 200, Paper with { Format = NumberFormat.E3M0 }),
        ["INT8"] = (70, 200, Paper with { Format = NumberFormat.Int8 }),
        ["RTN"] = (70, 200, Paper with { Method = QuantizationMethod.Rtn }),
        ["searched scales"] = (70, 290, Paper with { ScaleSearch = ScaleSearch.Pivot }),
        ["refined"] = (150, 290, Paper with { ActOrder = true, RefineSweeps = 3, RefitScales = true, ScaleStorage = ScaleStorage.Float16 }),
        ["refined, INT8"] = (70, 200, Paper with { Format = NumberFormat.Int8, RefineSweeps = 1 }),
        ["the default preset's"] = (140, 290, Paper with
        {
            ScaleSearch = ScaleSearch.Pivot,
            ActOrder = true,
            LowRankWeighting = LowRankWeighting.ActivationWeighted,
            RefineSweeps = 2,
            LowRankRefits = 1,
            RefitScales = true,
            SparesBranch = true,
        }),
        ["refits"] = (300, 290, Paper with { LowRankRefits = 2, SparesBranch = true }),
    };

    [EmulationTheory]
    [InlineData(0)]
    [InlineData(1e-9)]
    public void A_singular_Hessian_raises_the_damping_as_on_the_processor(double damping)
    {
        const int Rows = 20, Columns = 140;
        float[] weights = RandomData.Uniform(Rows * Columns, 5);
        using Hessian hessian = RandomData.Hessian(Columns, 6, tokens: 10);
        QuantizationOptions options = Paper with { Damping = damping };
        QuantizedLayer expected = LayerQuantizer.Quantize("layer", weights, Rows, Columns, hessian, options);
        QuantizedLayer actual = LayerQuantizer.Quantize("layer", weights, Rows, Columns, hessian, options, device.Layers);
        Assert.NotEmpty(expected.Warnings);
        Assert.Equal(expected.Warnings, actual.Warnings);
        Assert.Equal(expected.Weights.Codes, actual.Weights.Codes);
    }
}
