using System.Security.Cryptography;
using System.Text.Json;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

/// <summary>Budgets on a generated decoder, through the whole pipeline.</summary>
public sealed class BudgetTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(5.6)]
    [InlineData(7.5)]
    public void Bits_are_kept_and_used(double bits)
    {
        QuantizeReport report = Run(Options() with { Budget = new Budget { Bits = bits } });
        Assert.InRange(report.BitsPerWeight, bits - 1, bits);
        Assert.Equal(report.BitsPerWeight, report.Budget!.Layers.Average(layer => layer.Bits), 0.2);
        Assert.Equal(TinyDecoder.Layers, report.Budget.Layers.Select(layer => layer.Name));
    }

    [Fact]
    public void More_bits_lose_less_on_the_calibration_text()
    {
        double few = Run(Options() with { Budget = new Budget { Bits = 5.2 } }).Budget!.Layers.Sum(layer => layer.PredictedLoss);
        double many = Run(Options() with { Budget = new Budget { Bits = 8 } }).Budget!.Layers.Sum(layer => layer.PredictedLoss);
        Assert.InRange(many, 0, 0.7 * few);
    }

    [Fact]
    public void A_size_is_kept_by_the_files_themselves()
    {
        long smallest = Run(Options() with { Budget = new Budget { Bits = 5.2 } }).QuantizedBytes;
        QuantizeReport report = Run(Options() with { Budget = new Budget { Bytes = smallest + 2500 } });
        Assert.InRange(ModelFiles.Bytes(report.Output), smallest - 2500, smallest + 2500);
    }

    [Fact]
    public void An_increase_is_kept_on_windows_that_nothing_is_fitted_to_by_a_plan_smaller_than_float()
    {
        QuantizeReport report = Run(Options() with { Budget = new Budget { MaxIncrease = 0.02 } });
        Assert.InRange(report.Budget!.HeldOutIncrease!.Value, -1, 0.02);
        Assert.InRange(report.Budget.HeldOutWindows, 8, 48);
        Assert.InRange(report.BitsPerWeight, 4, 9);
        Assert.Equal(1, Perplexity(report.Output) / Perplexity(report.Model), 0.04);
    }

    [Fact]
    public void The_plan_as_a_recipe_gives_the_same_bytes_and_so_do_any_number_of_threads()
    {
        QuantizeOptions options = Options() with { Budget = new Budget { Bits = 6 }, Threads = 1 };
        QuantizeReport report = Run(options);
        string expected = Hash(report.Output);
        Assert.Equal(expected, Hash(Run(options with { Threads = 2 }).Output));
        Assert.Equal(expected, Hash(Run(options with { Threads = 8 }).Output));
        Assert.Equal(expected, Hash(Run(options with { WorkFolder = Path.Combine(_folder, "work") }).Output));
        Assert.Equal(expected, Hash(Run(options with { WorkFolder = Path.Combine(_folder, "work") }).Output));

        using var recipe = JsonDocument.Parse(File.ReadAllText(report.Budget!.Recipe));
        LayerOverride[] overrides =
        [
            .. recipe.RootElement.GetProperty("layerOverrides").EnumerateArray().Select(entry => OverrideText.Parse(entry.GetString()!))
                .Select(text => text.Changes.Aggregate(new LayerOverride(text.Pattern), (entry, change) => change.Key switch
                {
                    "format" when change.Value == "float" => entry with { KeepFloat = true },
                    "format" => entry with { Format = NumberFormat.Parse(change.Value) },
                    "group-size" => entry with { GroupSize = int.Parse(change.Value) },
                    _ => entry with { Rank = int.Parse(change.Value) },
                })),
        ];
        Assert.Equal(TinyDecoder.Layers.Count, overrides.Length);
        Assert.Equal(expected, Hash(Run(options with { Budget = null, Selection = new() { Overrides = overrides } }).Output));
    }

    [Fact]
    public void A_layer_with_an_override_of_its_own_keeps_it()
    {
        QuantizeReport report = Run(Options() with
        {
            Budget = new Budget { Bits = 7 },
            Selection = new() { Overrides = [new("down1") { Format = NumberFormat.E4M3, Rank = 0 }] },
        });
        Assert.DoesNotContain(report.Budget!.Layers, layer => layer.Name == "down1");
        Assert.InRange(report.Layers.Single(layer => layer.Name == "down1").BitsPerWeight, 8, 10);
        Assert.InRange(report.BitsPerWeight, 5.5, 7);
    }

    [Fact]
    public void A_budget_below_what_can_be_reached_is_ZQFP0034_and_names_the_smallest()
    {
        QuantizeOptions options = Options() with { Budget = new Budget { Bits = 4 } };
        ZqfpException refusal = Assert.Throws<ZqfpException>(() => QuantizeJob.Check(options));
        Assert.Equal("ZQFP0034", refusal.Code);
        Assert.Matches("is 5\\.\\d+ bits", refusal.Message);
        Assert.Equal("ZQFP0034", Assert.Throws<ZqfpException>(() => Run(options with { Budget = new Budget { Bytes = 1000 } })).Code);
        Assert.Equal("ZQFP0034", Assert.Throws<ZqfpException>(() => PlanJob.Run(options, CancellationToken.None)).Code);
        Assert.False(File.Exists(options.OutputPath));
        Assert.False(Directory.Exists(Path.GetDirectoryName(options.OutputPath)));
    }

    [Theory]
    [InlineData(EmissionProfile.Stock)]
    [InlineData(EmissionProfile.Simulated)]
    internal void A_budget_is_refused_where_bits_mean_something_else(EmissionProfile profile) => Assert.Equal("ZQFP0033",
        Assert.Throws<ZqfpException>(() => Run(Options() with { Budget = new Budget { Bits = 6 }, Profiles = [profile] })).Code);

    [Fact]
    public void A_budget_that_no_layer_need_be_quantized_for_is_refused_and_nothing_is_written()
    {
        QuantizeOptions options = Options() with { Budget = new Budget { Bytes = 1L << 40 } };
        Assert.Equal("ZQFP1009", Assert.Throws<ZqfpException>(() => Run(options)).Code);
        Assert.False(File.Exists(options.OutputPath));
    }

    [Fact]
    public void Two_budgets_at_once_are_refused() => Assert.Equal("ZQFP0033",
        Assert.Throws<ZqfpException>(() => Run(Options() with { Budget = new Budget { Bits = 6, Bytes = 1 << 20 } })).Code);

    [Fact]
    public void Without_a_calibration_text_nothing_can_be_measured() => Assert.Equal("ZQFP0006",
        Assert.Throws<ZqfpException>(() => Run(Options() with { Budget = new Budget { Bits = 6 }, CalibrationPath = null })).Code);

    [Fact]
    public void One_window_leaves_nothing_to_measure_an_increase_on()
    {
        QuantizeOptions options = Options() with
        {
            Budget = new Budget { MaxIncrease = 0.1 },
            CalibrationPath = TinyDecoder.WriteTokens(Directory.CreateDirectory(Path.Combine(_folder, "short")).FullName, 100),
        };
        Assert.Equal("ZQFP0035", Assert.Throws<ZqfpException>(() => Run(options)).Code);
    }

    [Fact]
    public void The_plan_says_what_can_be_reached_and_when_the_choice_is_made()
    {
        QuantizePlan plan = PlanJob.Run(Options() with { Budget = new Budget { Bits = 6 } }, CancellationToken.None);
        Assert.Contains("6 bits a weight", plan.Budget, StringComparison.Ordinal);
        Assert.Contains("calibration text", plan.Budget, StringComparison.Ordinal);
        Assert.Null(PlanJob.Run(Options(), CancellationToken.None).Budget);
    }

    private static string Hash(string model) => Convert.ToHexString(SHA256.HashData(
        [.. File.ReadAllBytes(model), .. File.ReadAllBytes(model + ".data")]));

    private QuantizeOptions Options() => new()
    {
        ModelPath = TinyDecoder.Write(_folder),
        OutputPath = Path.Combine(_folder, "out", "model.onnx"),
        CalibrationPath = TinyDecoder.WriteTokens(_folder, 4096),
        Window = 64,
        Windows = 32,
        Quantization = QuantizePreset.Default.Apply(new QuantizationOptions { GroupSize = 64, Rank = 2 }),
    };

    private double Perplexity(string model) => EvaluateJob.Run(
        new EvaluateOptions { ModelPath = model, TextPath = TinyDecoder.WriteTokens(_folder, 4096), Window = 64, Windows = 32 },
        new SilentObserver(),
        CancellationToken.None).Perplexity;

    private static QuantizeReport Run(QuantizeOptions options) => QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None);
}
