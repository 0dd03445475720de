using System.Diagnostics;
using System.Globalization;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;

namespace Zqfp.ModelBench;

/// <summary>A model in a session.</summary>
internal sealed class Candidate : IDisposable
{
    private readonly InferenceSession _session;
    private readonly Workspace _workspace;
    private readonly Dictionary<(Scenario, bool), (OrtIoBinding Binding, RunOptions Options)> _runs = [];

    private Candidate(WeightKind kind, InferenceSession session, Workspace workspace)
    {
        Kind = kind;
        _session = session;
        _workspace = workspace;
    }

    public WeightKind Kind { get; }

    /// <summary>Writes the model's files where they are not there.</summary>
    public static string Write(string folder, DecoderShape shape, WeightKind kind, int storedLayers, int positions)
    {
        string path = Path.Combine(folder, $"{kind.File}.onnx");
        if (!File.Exists(path))
        {
            using var data = new RandomData(path + ".data");
            File.WriteAllBytes(path, new CachedDecoder(shape, kind, data, storedLayers, positions).Build().ToByteArray());
        }

        return path;
    }

    /// <summary>Opens a model.</summary>
    /// <param name="path">The model.</param>
    /// <param name="kind">What it is.</param>
    /// <param name="workspace">What its runs read and write.</param>
    /// <param name="operators">Adds the operators of domain zqfp to a session's options.</param>
    /// <param name="onDevice">In the CUDA provider, every node of it; otherwise on the processor.</param>
    public static Candidate Open(string path, WeightKind kind, Workspace workspace, Action<SessionOptions> operators, bool onDevice)
    {
        using var options = new SessionOptions();
        if (onDevice)
        {
            using var provider = new OrtCUDAProviderOptions();
            provider.UpdateOptions(new Dictionary<string, string> { ["device_id"] = "0", ["enable_cuda_graph"] = "1" });
            options.AppendExecutionProvider_CUDA(provider);
            options.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1");
        }

        operators(options.UseZqfpWeights(kind.Kept));
        return new Candidate(kind, new InferenceSession(path, options), workspace);
    }

    /// <summary>Computes a scenario once.</summary>
    /// <param name="scenario">What.</param>
    /// <param name="graph">Whether as a recorded CUDA graph.</param>
    public void Run(Scenario scenario, bool graph)
    {
        if (!_runs.TryGetValue((scenario, graph), out (OrtIoBinding Binding, RunOptions Options) run))
        {
            run = (_workspace.Bind(_session, scenario), new RunOptions());
            run.Options.AddRunConfigEntry("gpu_graph_id", graph ? (_runs.Count + 1).ToString(CultureInfo.InvariantCulture) : "-1");
            _runs.Add((scenario, graph), run);
        }

        _session.RunWithBinding(run.Options, run.Binding);
    }

    /// <summary>Milliseconds of runs, one after another.</summary>
    public IEnumerable<double> Time(Scenario scenario, bool graph, int count)
    {
        for (int i = 0; i < count; i++)
        {
            long start = Stopwatch.GetTimestamp();
            Run(scenario, graph);
            yield return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }
    }

    public void Dispose()
    {
        foreach ((OrtIoBinding binding, RunOptions options) in _runs.Values)
        {
            binding.Dispose();
            options.Dispose();
        }

        _session.Dispose();
    }
}
