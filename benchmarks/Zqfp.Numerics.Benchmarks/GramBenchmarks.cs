using BenchmarkDotNet.Attributes;

namespace Zqfp.Numerics.Benchmarks;

/// <summary>Accumulating the Gram matrix of 2048 tokens.</summary>
public class GramBenchmarks
{
    private float[] _tokens = [];
    private GramAccumulator? _gram;

    [Params(1024, 4096)]
    public int Columns { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _tokens = SyntheticLayer.Tokens(2048, Columns, 1);
        _gram = new GramAccumulator(Columns);
    }

    [GlobalCleanup]
    public void Cleanup() => _gram?.Dispose();

    [Benchmark]
    public void Accumulate() => _gram!.Add(_tokens);
}
