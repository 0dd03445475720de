using System.Diagnostics;
using Zqfp.CudaOps;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

public sealed class PlanJobTests
{
    private static QuantizeOptions Options => SampleModel.Quick(Path.Combine("nowhere", "model.onnx"));

    private static QuantizePlan Plan(QuantizeOptions options) => PlanJob.Run(options, CancellationToken.None);

    [Fact]
    public void A_plan_tells_sizes_windows_and_what_it_rests_on_and_writes_nothing()
    {
        QuantizePlan plan = Plan(Options);

        Assert.Equal((28, 16, 16, 128, false),
            (plan.Model.QuantizedLayers, plan.Stages, plan.CalibrationWindows, plan.Window, plan.WindowsAreAssumed));
        Assert.Equal(plan.Model.FileBytes - plan.Model.QuantizableBytes + plan.Model.QuantizedBytes, plan.OutputBytes);
        Assert.Equal(4.927, plan.BitsPerWeight, 0.001);
        Assert.InRange(plan.Memory.Needed, 150_000_000, 2_000_000_000);
        Assert.Equal(plan.OutputBytes + plan.Model.QuantizedBytes, plan.Disk.Needed);
        Assert.True(plan.Seconds is { Calibrate: > 0, Quantize: > 0, Write: > 0 });
        Assert.Equal(3, plan.Basis.Count(line => !line.Contains("busy", StringComparison.Ordinal)));
        Assert.Empty(plan.Warnings);
        Assert.False(Directory.Exists("nowhere"));
    }

    [Fact]
    public void A_plan_for_a_gpu_says_that_its_time_is_the_processors() =>
        Assert.Contains("a GPU", Plan(Options with { Device = ZqfpDevice.Cuda }).Basis[^1], StringComparison.Ordinal);

    [Fact]
    public void A_plan_can_be_cancelled()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => PlanJob.Run(Options, cancelled.Token));
        Assert.ThrowsAny<OperationCanceledException>(() => PlanJob.Run(Options with { CalibrationPath = null }, cancelled.Token));
    }

    [Fact]
    public void The_windows_are_those_the_text_has() =>
        Assert.Equal(945, Plan(Options with { Windows = 0, CalibrationPath = SampleModel.Evaluation }).CalibrationWindows);

    [Fact]
    public void Without_a_text_the_windows_are_assumed()
    {
        QuantizePlan plan = Plan(Options with { CalibrationPath = null, TokenizerPath = null });
        Assert.Equal((16, true), (plan.CalibrationWindows, plan.WindowsAreAssumed));
    }

    [Fact]
    public void Rounding_to_nearest_needs_no_windows_and_a_work_folder_needs_disk()
    {
        QuantizePlan plan =
            Plan(Options with { Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn }, WorkFolder = "work" });

        Assert.Equal((0, false, 0.0), (plan.CalibrationWindows, plan.WindowsAreAssumed, plan.Seconds.Calibrate));
        Assert.Equal(plan.OutputBytes + plan.Model.QuantizedBytes, plan.Disk.Needed);
    }

    /// <summary>
    /// The rates of a busy machine are those of a free one within a factor of two, where waiting alone would make it four.
    /// </summary>
    [UnixFact]
    public void Other_processes_do_not_slow_the_estimate_down()
    {
        Assert.SkipUnless(
            Environment.GetEnvironmentVariable("ZQFP_LONG_TESTS") == "1",
            "Measures time on a machine that must do nothing else: set ZQFP_LONG_TESTS=1 and run it alone.");
        MachineRates before = MachineRates.Measure(Options.Quantization, threads: 1, CancellationToken.None);
        Process[] others =
        [
            .. Enumerable.Range(0, 4 * Environment.ProcessorCount).Select(_ => Process.Start("sh", ["-c", "while :; do :; done"]))
        ];
        try
        {
            MachineRates busy = MachineRates.Measure(Options.Quantization, threads: 1, CancellationToken.None);
            Assert.True(busy.LayerSeconds(512, 512) < 2 * before.LayerSeconds(512, 512), $"{before} became {busy}.");
            Assert.True(busy.LayerSeconds(4096, 4096) < 2 * before.LayerSeconds(4096, 4096), $"{before} became {busy}.");
            Assert.True(busy.Waiting > 1.25, $"{before} became {busy}.");
        }
        finally
        {
            Array.ForEach(others, process =>
            {
                process.Kill();
                process.Dispose();
            });
        }
    }

    [Fact]
    public void What_grows_with_the_weights_is_told_from_what_grows_faster()
    {
        var known = new MachineRates(100e9, 8e9, 100e-9, 1);
        var gptq = MachineRates.Of(100e9, known.LayerSeconds(512, 512), known.LayerSeconds(512, 2048), 1);
        Assert.Equal(1, gptq.LayerSeconds(8192, 28672) / known.LayerSeconds(8192, 28672), 1e-9);

        var nearest = MachineRates.Of(100e9, 512 * 512 * 20e-9, 512 * 2048 * 16e-9, 1);
        Assert.Equal(4096 * 4096 * 16e-9, nearest.LayerSeconds(4096, 4096), 1e-9);
    }

    [Fact]
    public void The_float_models_pass_targets_and_rotation_trials_take_time()
    {
        PlannedSeconds Seconds(LayerTarget target, int rotation)
        {
            QuantizeOptions options = SampleModel.Quick("out.onnx") with { LayerTarget = target, Rotation = rotation };
            using OnnxFile file = OnnxFile.Open(options.ModelPath);
            ModelLayers model = ModelLayers.Of(file, options);
            var plan = new TargetPlan(options, file, model, [.. model.Chosen.Select(choice => choice.Layer)]);
            return WorkEstimate.Seconds(options, model.Graph, plan, model.Chosen, 50_000, 0, new MachineRates(100e9, 50e9, 0, 1));
        }

        PlannedSeconds plain = Seconds(LayerTarget.None, QuantizeOptions.NoRotation);
        PlannedSeconds moved = Seconds(LayerTarget.Residual, QuantizeOptions.NoRotation);
        PlannedSeconds rotated = Seconds(LayerTarget.Residual, QuantizeOptions.AutoRotation);
        Assert.InRange(moved.Calibrate / plain.Calibrate, 1.8, 3);
        Assert.True(moved.Quantize > plain.Quantize);
        Assert.True(rotated.Calibrate > moved.Calibrate && rotated.Quantize > moved.Quantize);
    }

    [Fact]
    public void A_token_counts_for_each_expert_that_it_goes_to()
    {
        const int Tokens = 1000;
        const int Inner = 48;
        string folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;
        double Seconds(int perToken)
        {
            QuantizeOptions options = new()
            {
                ModelPath = MixtureGraph.Write(folder, "pick right", new Mixture { PerToken = perToken, Inner = Inner }),
                OutputPath = "out.onnx",
            };
            using OnnxFile file = OnnxFile.Open(options.ModelPath);
            ModelLayers model = ModelLayers.Of(file, options);
            var plan = new TargetPlan(options, file, model, [.. model.Chosen.Select(choice => choice.Layer)]);
            return WorkEstimate.Seconds(options, model.Graph, plan, model.Chosen, Tokens, 0, new MachineRates(1, 1, 0, 1)).Calibrate;
        }

        try
        {
            double run = MachineRates.ForwardWork(Tokens, 2 * Inner, MixtureGraph.Width)
                + MachineRates.ForwardWork(Tokens, MixtureGraph.Width, Inner);
            double summed = MachineRates.GramWork(Tokens, MixtureGraph.Width) + MachineRates.GramWork(Tokens, Inner);
            Assert.Equal(1, (Seconds(2) - Seconds(1)) / (run + summed), 1e-9);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void More_windows_need_more_memory() =>
        Assert.True(Plan(Options with { CalibrationPath = null, Windows = 1000 }).Memory.Needed > Plan(Options).Memory.Needed
            + 100_000_000);

    [Fact]
    public void What_quantizing_refuses_planning_refuses() =>
        Assert.Equal(
            "ZQFP0005", Assert.Throws<ZqfpException>(() => Plan(Options with { Activations = ActivationFormat.Int8 })).Code);
}
