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
/// Layers of one shape, some of them a session, which take turns: their weights together are larger than a cache, so that each run reads
/// its own from memory. A run is short, for on a machine that others use too a long one is sure to be interrupted.
/// </summary>
internal sealed class LayerStack : IDisposable
{
    private const double LeastRunBytes = 4 << 20;

    private readonly (InferenceSession Session, MappedWeights Weights)[] _sessions;
    private readonly OrtValue[] _inputs;
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;
    private int _next;

    public LayerStack(Candidate candidate, int layers, int m, int n, int k, Func<SessionOptions> options)
    {
        double layerBytes = (double)n * k * candidate.BitsPerWeight(n, k) / 8;
        Layers = Math.Clamp((int)Math.Ceiling(LeastRunBytes / layerBytes), 1, layers);
        Bytes = Layers * layerBytes;
        _inputNames = [.. Enumerable.Range(0, Layers).Select(i => $"x{i}")];
        _outputNames = [.. Enumerable.Range(0, Layers).Select(i => $"y{i}")];
        Layer[] parts = [.. Enumerable.Range(0, Layers).Select(i => candidate.MakeLayer(i, n, k))];
        LayerConstant[] constants = [.. parts.SelectMany(part => part.Constants)];
        byte[] model = Onnx.Model(
            [.. parts.SelectMany(part => part.Nodes)],
            [.. _inputNames.Select(name => Onnx.Value(name, Onnx.Float, "m", k))],
            [.. _outputNames.Select(name => Onnx.Value(name, Onnx.Float, "m", n))],
            [.. constants.Select(
                constant => Onnx.ExternalTensor(constant.Name, constant.Type, constant.Shape, "none", ByteCount(constant)))]);
        _sessions = [.. Enumerable.Range(0, (layers + Layers - 1) / Layers).Select(_ => Load(model, constants, options()))];
        float[] x = new float[m * k];
        RandomContent.Floats(MemoryMarshal.AsBytes(x.AsSpan()));
        OrtValue input = OrtValue.CreateTensorValueFromMemory<float>(x, [m, k]);
        _inputs = [.. _inputNames.Select(_ => input)];
    }

    /// <summary>Layers that a run computes.</summary>
    public int Layers { get; }

    /// <summary>Bytes of weights that a run reads.</summary>
    public double Bytes { get; }

    /// <summary>How long it took to make the last session.</summary>
    public double LoadSeconds { get; private set; }

    public void Run()
    {
        InferenceSession session = _sessions[_next++ % _sessions.Length].Session;
        foreach (OrtValue output in session.Run(_inputNames, _inputs, _outputNames))
        {
            output.Dispose();
        }
    }

    public void Dispose()
    {
        foreach ((InferenceSession session, MappedWeights weights) in _sessions)
        {
            session.Dispose();
            weights.Dispose();
        }

        _inputs[0].Dispose();
    }

    private (InferenceSession Session, MappedWeights Weights) Load(byte[] model, LayerConstant[] constants, SessionOptions options)
    {
        var weights = new MappedWeights(options, constants.ToDictionary(constant => constant.Name, Fill));
        long start = Stopwatch.GetTimestamp();
        var session = new InferenceSession(model, options);
        LoadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return (session, weights);
    }

    private static TensorData Fill(LayerConstant constant)
    {
        byte[] content = GC.AllocateUninitializedArray<byte>((int)ByteCount(constant), pinned: true);
        constant.Fill(content);
        return new TensorData((TensorProto.Types.DataType)constant.Type, constant.Shape, content);
    }

    private static long ByteCount(LayerConstant constant) => OrtElementTypes.ByteCount((OrtElementType)constant.Type, constant.Shape);
}
