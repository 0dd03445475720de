using Zqfp.Numerics;

namespace Zqfp.Quantization.Tests;

public sealed class RecipeTests
{
    private static readonly QuantizeOptions Options = new() { ModelPath = "a", OutputPath = "b" };

    [Fact]
    public void The_default_is_the_papers() =>
        Assert.Equal("FP4 E2M1 g256 M2 GPTQ + LoRC 8, FP8 activations", Recipe.Describe(Options));

    [Fact]
    public void Names_only_what_is_used()
    {
        QuantizationOptions plain = Options.Quantization with
        {
            Format = NumberFormat.Int4,
            GroupSize = 0,
            Constraint = ScaleConstraint.None,
            Method = QuantizationMethod.Rtn,
            Rank = 0,
        };
        Assert.Equal("INT4 per row RTN, float activations",
            Recipe.Describe(Options with { Quantization = plain, Activations = ActivationFormat.None }));
    }

    [Fact]
    public void Names_what_a_preset_adds()
    {
        QuantizeOptions options = Options with { Quantization = QuantizePreset.Default.Apply(Options.Quantization) };
        Assert.Equal("FP4 E2M1 g256 M2 GPTQ (act-order, scale search, 2 sweeps) + LoRC 8, FP8 activations", Recipe.Describe(options));
    }

    [Fact]
    public void The_default_preset_reproduces_the_residual_stream_and_rotates_where_inputs_are_rounded()
    {
        QuantizeOptions options = QuantizePreset.Default.Apply(Options);
        Assert.Equal((LayerTarget.Residual, QuantizeOptions.AutoRotation), (options.LayerTarget, options.Rotation));
        Assert.EndsWith("2 sweeps, residual target, rotation where it helps) + LoRC 8, FP8 activations", Recipe.Describe(options),
            StringComparison.Ordinal);
        Assert.Equal(
            QuantizeOptions.NoRotation, QuantizePreset.Default.Apply(Options with { Activations = ActivationFormat.None }).Rotation);
    }

    [Fact]
    public void The_papers_preset_and_rounding_to_nearest_add_nothing()
    {
        Assert.Equal(Options, QuantizePreset.Paper.Apply(Options));
        QuantizationOptions rtn = Options.Quantization with { Method = QuantizationMethod.Rtn };
        Assert.Equal(Options.Quantization, QuantizePreset.Paper.Apply(Options.Quantization));
        Assert.Equal(rtn, QuantizePreset.Best.Apply(rtn));
    }

    [Fact]
    public void Says_when_rounding_is_not_to_nearest() =>
        Assert.Contains("M2 (ceil)",
            Recipe.Describe(Options with { Quantization = Options.Quantization with { Rounding = PowerRounding.Ceil } }),
            StringComparison.Ordinal);
}
