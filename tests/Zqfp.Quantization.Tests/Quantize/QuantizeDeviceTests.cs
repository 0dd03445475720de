using Zqfp.CudaOps;
using Zqfp.CudaOps.Tests;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

public sealed class QuantizeDeviceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>By the default preset: moments of float targets, rotation, refinement, refitted branches.</summary>
    [EmulationFact]
    public void A_model_whose_layers_a_device_quantizes_has_the_bytes_of_one_that_the_processor_quantizes()
    {
        QuantizeOptions options = QuantizePreset.Default.Apply(Options());
        Execute(options, null);
        byte[] expected = File.ReadAllBytes(options.OutputPath + ".data");
        using var device = new EmulatedDevice();
        int before = EmulatedDevice.Launches;
        Execute(options with { Device = ZqfpDevice.CudaProducts }, device);
        Assert.True(EmulatedDevice.Launches - before >= TinyDecoder.Layers.Count, "Layers were quantized elsewhere.");
        Assert.Equal(expected, File.ReadAllBytes(options.OutputPath + ".data"));
    }

    [Theory]
    [InlineData(ZqfpDevice.Cuda)]
    [InlineData(ZqfpDevice.CudaProducts)]
    public void A_device_that_is_not_there_is_refused_before_the_work(ZqfpDevice device)
    {
        const int Absent = 99;
        ZqfpException error = Assert.Throws<ZqfpException>(() => QuantizeJob.Check(Options() with { Device = device, Gpu = Absent }));
        Assert.Matches("^ZQFP(410[1-4]|4005)$", error.Code);
    }

    [Fact]
    public void Auto_takes_the_processor_where_there_is_no_such_GPU()
    {
        const int Absent = 99;
        QuantizeOptions options = Options() with { Device = ZqfpDevice.Auto, Gpu = Absent };
        Assert.Equal(ZqfpDevice.Cpu, QuantizeDevice.Resolve(options, new SilentObserver()));
    }

    [Fact]
    public void Shards_of_one_machine_share_its_GPUs_and_a_task_that_sees_one_takes_that()
    {
        static int[] Of(int shards, params int[] served) => [.. Enumerable.Range(0, shards).Select(index => QuantizeDevice.GpuOf(
            new QuantizeOptions { ModelPath = "m", OutputPath = "o", Device = ZqfpDevice.Cuda, Shard = new Shard(index, shards) },
            served.Contains))];

        Assert.Equal([0, 1, 2, 3], Of(4, 0, 1, 2, 3));
        Assert.Equal([0, 1, 0, 1, 0], Of(5, 0, 1));
        Assert.Equal([1, 3, 1, 3], Of(4, 1, 3));
        Assert.Equal([0, 0, 0], Of(3, 0));
        Assert.Equal([0, 0], Of(2));
    }

    [Fact]
    public void No_GPU_is_looked_for_where_none_is_used_and_one_process_takes_the_first()
    {
        static bool NotAsked(int gpu) => throw new InvalidOperationException();
        QuantizeOptions options = Options();
        Assert.Equal(0, QuantizeDevice.GpuOf(options with { Shard = new Shard(1, 2) }, NotAsked));
        Assert.Equal(0, QuantizeDevice.GpuOf(options with { Device = ZqfpDevice.Cuda }, NotAsked));
    }

    private static void Execute(QuantizeOptions options, EmulatedDevice? device)
    {
        using OnnxFile file = OnnxFile.Open(options.ModelPath);
        var inputs = new InputFiles();
        file.AddTo(inputs, default);
        new QuantizationRun(options, file, ModelLayers.Of(file, options), inputs, new SilentObserver(), default)
        {
            OpenDevice = _ => device?.Open(),
        }.Execute();
    }

    private QuantizeOptions Options() => new()
    {
        ModelPath = TinyDecoder.Write(_folder),
        OutputPath = Path.Combine(_folder, "out.onnx"),
        CalibrationPath = TinyDecoder.WriteTokens(_folder, 1024),
        Window = 64,
        Windows = 12,
        Quantization = new() { GroupSize = 16, Rank = 2 },
    };
}
