using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.Evaluation;

/// <summary>
/// One sequence that a decoder goes on with, token after token. A cache stays where the model computes; without one all tokens are
/// computed again for each new one.
/// </summary>
internal sealed class CachedRun : IDisposable
{
    private readonly ModelFacts _facts;
    private readonly ModelSession _session;
    private readonly TokenFeeds _feeds;
    private readonly OrtIoBinding _binding;
    private readonly OrtMemoryInfo _device;
    private readonly ModelInput[] _caches;
    private readonly string[] _made;
    private readonly List<int> _tokens = [];
    private IDisposableReadOnlyCollection<OrtValue>? _outputs;

    /// <summary>Prepares a run.</summary>
    /// <param name="facts">The model.</param>
    /// <param name="session">The model in a session.</param>
    /// <param name="onGpu">Whether its values lie on the first CUDA device.</param>
    /// <exception cref="ZqfpException">ZQFP1005: its caches cannot be told from its other outputs.</exception>
    public CachedRun(ModelFacts facts, ModelSession session, bool onGpu)
    {
        _facts = facts;
        _session = session;
        _feeds = new TokenFeeds(facts);
        _caches = [.. session.Inputs.Where(input => DecoderInput.IsCache(input.Name))];

        // Exporters name and order what comes out as what goes in, where the graph does not tell.
        _made = facts.Caches.Count == _caches.Length
            ? [.. _caches.Select(input => facts.Caches.Single(link => link.Input == input.Name).Output)]
            : [.. session.OutputNames.Where(name => name != facts.Logits
                && (name.Contains("present", StringComparison.OrdinalIgnoreCase) || DecoderInput.IsCache(name)))];
        if (_made.Length != _caches.Length || facts.PastLength > 0)
        {
            throw new ZqfpException("ZQFP1005",
                $"The model has {_caches.Length} cache inputs{(facts.PastLength > 0 ? " of a fixed size" : "")} and {_made.Length} cache "
                + "outputs: how it goes on with a sequence is unknown. Export it with a key-value cache that grows, or without one.",
                facts.Path);
        }

        _device = onGpu
            ? new OrtMemoryInfo(ModelSession.GpuMemory, OrtAllocatorType.DeviceAllocator, 0, OrtMemType.Default)
            : new OrtMemoryInfo(OrtMemoryInfo.allocatorCPU, OrtAllocatorType.DeviceAllocator, 0, OrtMemType.Default);
        _binding = session.CreateBinding();
    }

    /// <summary>Whether earlier tokens are kept.</summary>
    public bool HasCache => _caches.Length > 0;

    /// <summary>Begins a sequence.</summary>
    /// <param name="prompt">Its first tokens.</param>
    /// <param name="cancellation">Ends the run.</param>
    public void Begin(IReadOnlyList<int> prompt, CancellationToken cancellation)
    {
        Forget();
        _tokens.AddRange(prompt);
        Compute(_tokens.Count, wantsLogits: false, cancellation);
    }

    /// <summary>Goes on by one token.</summary>
    /// <param name="token">It.</param>
    /// <param name="cancellation">Ends the run.</param>
    /// <returns>The likeliest next one.</returns>
    public int Next(int token, CancellationToken cancellation)
    {
        _tokens.Add(token);
        Compute(HasCache ? 1 : _tokens.Count, wantsLogits: true, cancellation);
        return Likeliest(_outputs![0]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Forget();
        _binding.Dispose();
        _device.Dispose();
    }

    private void Forget()
    {
        _tokens.Clear();
        _outputs?.Dispose();
        _outputs = null;
    }

    /// <summary>Computes the last tokens, whose logits come to the host only where they are wanted.</summary>
    private void Compute(int count, bool wantsLogits, CancellationToken cancellation)
    {
        int past = _tokens.Count - count;
        var batch = new TokenBatch([.. _tokens.Skip(past)], Windows: 1, Length: count) { Past = past };
        _binding.ClearBoundInputs();
        _binding.ClearBoundOutputs();
        foreach (ModelInput input in _session.Inputs)
        {
            int cache = Array.IndexOf(_caches, input);
            if (cache >= 0 && past > 0)
            {
                _binding.BindInput(input.Name, _outputs![cache + 1]);
                continue;
            }

            using OrtValue value = _feeds.Create(input, batch);
            _binding.BindInput(input.Name, value);
        }

        _binding.BindOutputToDevice(_facts.Logits, wantsLogits ? OrtMemoryInfo.DefaultInstance : _device);
        foreach (string name in _made)
        {
            _binding.BindOutputToDevice(name, _device);
        }

        _session.Run(_binding, cancellation);
        IDisposableReadOnlyCollection<OrtValue> made = _binding.GetOutputValues();
        _outputs?.Dispose();
        _outputs = made;
    }

    private int Likeliest(OrtValue logits)
    {
        OrtTensorTypeAndShapeInfo tensor = logits.GetTensorTypeAndShape();
        int vocabulary = (int)tensor.Shape[^1];
        return tensor.ElementDataType switch
        {
            TensorElementType.Float => IndexOfLargest(logits.GetTensorDataAsSpan<float>()[^vocabulary..]),
            TensorElementType.Float16 =>
                IndexOfLargest(MemoryMarshal.Cast<Float16, Half>(logits.GetTensorDataAsSpan<Float16>())[^vocabulary..]),
            TensorElementType.Double => IndexOfLargest(logits.GetTensorDataAsSpan<double>()[^vocabulary..]),
            _ => throw new ZqfpException("ZQFP1012",
                $"The logits have type {tensor.ElementDataType}; float, float16 and double are known. Export the model in one of these.",
                _facts.Path),
        };
    }

    private static int IndexOfLargest<T>(ReadOnlySpan<T> values)
        where T : IComparable<T>
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
        {
            best = values[i].CompareTo(values[best]) > 0 ? i : best;
        }

        return best;
    }
}
