using System.Diagnostics;
using System.Runtime.InteropServices;
using Zqfp.CudaOps;
using Zqfp.Tests;

namespace Zqfp.Benchmarks;

/// <summary>
/// A session of several layers of one shape, which a run computes one after the other, as a model does: their weights together
/// are larger than the last-level cache, so that each run reads them from memory.
/// </summary>
internal sealed class LayerStack : IDisposable
{
    private readonly OrtSession _session;
    private readonly OrtValue[] _inputs;
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;

    public LayerStack(OrtEnvironment environment, Candidate candidate, int layers, int m, int n, int k, OrtSessionOptions options)
    {
        Layers = layers;
        Bytes = (double)layers * n * k * candidate.BitsPerWeight(n, k) / 8;
        Layer[] parts = [.. Enumerable.Range(0, layers).Select(i => candidate.MakeLayer(i, n, k))];
        _inputNames = [.. Enumerable.Range(0, layers).Select(i => $"x{i}")];
        _outputNames = [.. Enumerable.Range(0, layers).Select(i => $"y{i}")];
        LayerConstant[] constants = [.. parts.SelectMany(part => part.Constants)];
        byte[] model = Onnx.Model(
            [.. parts.SelectMany(part => part.Nodes)],
            [.. _inputNames.Select(name => Onnx.Value(name, Onnx.Float, "m", k))],
            [.. _outputNames.Select(name => Onnx.Value(name, Onnx.Float, "m", n))],
            [.. constants.Select(constant => Onnx.ExternalTensor(constant.Name, constant.Type, constant.Shape, "none", ByteCount(constant)))]);
        OrtValue[] values = [.. constants.Select(constant => Fill(environment, constant))];
        options.AddExternalInitializers([.. constants.Select(constant => constant.Name)], values);
        long start = Stopwatch.GetTimestamp();
        _session = OrtSession.Create(environment, model, options);
        LoadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        foreach (OrtValue value in values)
        {
            value.Dispose();
        }

        float[] x = new float[m * k];
        RandomContent.Floats(MemoryMarshal.AsBytes(x.AsSpan()));
        OrtValue input = OrtValue.Create<float>(environment, x, [m, k]);
        _inputs = [.. _inputNames.Select(_ => input)];
    }

    public int Layers { get; }

    /// <summary>Bytes of weights that a run reads.</summary>
    public double Bytes { get; }

    /// <summary>How long it took to make the session.</summary>
    public double LoadSeconds { get; }

    public void Run()
    {
        foreach (OrtValue output in _session.Run(_inputNames, _inputs, _outputNames))
        {
            output.Dispose();
        }
    }

    public void Dispose()
    {
        _session.Dispose();
        _inputs[0].Dispose();
    }

    private static OrtValue Fill(OrtEnvironment environment, LayerConstant constant)
    {
        byte[] content = GC.AllocateUninitializedArray<byte>((int)ByteCount(constant), pinned: true);
        constant.Fill(content);
        return OrtValue.FromMemory<byte>(environment, content, (OrtElementType)constant.Type, constant.Shape);
    }

    private static long ByteCount(LayerConstant constant) => OrtElementTypes.ByteCount((OrtElementType)constant.Type, constant.Shape);
}
