using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.Tests;

namespace Zqfp.Benchmarks;

/// <summary>
/// A session of several layers of one shape, which a run computes one after the other, as a model does: their weights together
/// are larger than the last-level cache, so that each run reads them from memory.
/// </summary>
internal sealed class LayerStack : IDisposable
{
    private readonly InferenceSession _session;
    private readonly MappedWeights _weights;
    private readonly OrtValue[] _inputs;
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;

    public LayerStack(Candidate candidate, int layers, int m, int n, int k, SessionOptions options)
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
            [.. constants.Select(
                constant => Onnx.ExternalTensor(constant.Name, constant.Type, constant.Shape, "none", ByteCount(constant)))]);
        _weights = new MappedWeights(options, constants.ToDictionary(constant => constant.Name, Fill));
        long start = Stopwatch.GetTimestamp();
        _session = new InferenceSession(model, options);
        LoadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        float[] x = new float[m * k];
        RandomContent.Floats(MemoryMarshal.AsBytes(x.AsSpan()));
        OrtValue input = OrtValue.CreateTensorValueFromMemory<float>(x, [m, k]);
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
        _weights.Dispose();
        _inputs[0].Dispose();
    }

    private static TensorData Fill(LayerConstant constant)
    {
        byte[] content = GC.AllocateUninitializedArray<byte>((int)ByteCount(constant), pinned: true);
        constant.Fill(content);
        return new TensorData((TensorProto.Types.DataType)constant.Type, constant.Shape, content);
    }

    private static long ByteCount(LayerConstant constant) => OrtElementTypes.ByteCount((OrtElementType)constant.Type, constant.Shape);
}
