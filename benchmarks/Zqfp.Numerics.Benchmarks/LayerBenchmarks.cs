using BenchmarkDotNet.Attributes;

namespace Zqfp.Numerics.Benchmarks;

/// <summary>Quantizing a square layer with its Hessian given, by each recipe; and ONNX Runtime's MatMul of that size.</summary>
public class LayerBenchmarks
{
    private float[] _weights = [];
    private Hessian? _hessian;
    private OrtMatMul? _matMul;

    [Params(1024, 4096)]
    public int Size { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _weights = SyntheticLayer.Uniform(Size * Size, 1);
        _hessian = SyntheticLayer.Hessian(Size, 2);
        _matMul = new OrtMatMul(Size, Environment.ProcessorCount);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _hessian?.Dispose();
        _matMul?.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void OnnxRuntimeMatMul() => _matMul!.Run();

    [Benchmark]
    public double Rtn() => Quantize(new QuantizationOptions { Method = QuantizationMethod.Rtn, Rank = 0 }, null);

    [Benchmark]
    public double Gptq() => Quantize(new QuantizationOptions { Rank = 0 }, _hessian);

    [Benchmark]
    public double GptqSearchedScales() => Quantize(
        new QuantizationOptions { Rank = 0, ScaleSearch = ScaleSearch.Pivot, ActOrder = true }, _hessian);

    [Benchmark]
    public double GptqRefined() => Quantize(new QuantizationOptions { Rank = 0, RefineSweeps = 1 }, _hessian);

    [Benchmark]
    public double GptqLorc() => Quantize(new QuantizationOptions(), _hessian);

    [Benchmark]
    public double GptqLorcWeighted() => Quantize(
        new QuantizationOptions { LowRankWeighting = LowRankWeighting.ActivationWeighted }, _hessian);

    private double Quantize(QuantizationOptions options, Hessian? hessian) =>
        LayerQuantizer.Quantize(_weights, Size, Size, hessian, options).Loss;
}
