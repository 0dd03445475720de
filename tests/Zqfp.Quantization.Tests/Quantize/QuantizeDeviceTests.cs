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
