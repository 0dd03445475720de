using BenchmarkDotNet.Attributes;

namespace Zqfp.Numerics.Benchmarks;

/// <summary>Encoding and decoding on one core, 64M values.</summary>
public class FormatBenchmarks
{
    private const int Count = 64 * 1024 * 1024;
    private readonly float[] _values = SyntheticLayer.Uniform(Count, 1);
    private readonly byte[] _codes = new byte[Count];
    private NumberFormat _format = NumberFormat.E2M1;

    [Params("E2M1", "E4M3", "INT8")]
    public string Format { get; set; } = "E2M1";

    [GlobalSetup]
    public void Setup()
    {
        _format = NumberFormat.Parse(Format);
        Encode();
    }

    [Benchmark]
    public void Encode() => _format.EncodePacked(_values, 0.15f, _codes);

    [Benchmark]
    public void Decode() => _format.DecodePacked(_codes, _values);
}
