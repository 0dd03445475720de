using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>What the layers of a stage read: the same for all of them, or for each expert the rows that go to it.</summary>
internal sealed class StageInputs : IDisposable
{
    private readonly StageInput? _shared;
    private readonly Func<LinearLayer, StageInput>? _routed;
    private readonly IDisposable[] _owned;
    private (string? RoutedBy, int? Expert) _lastRouting;
    private StageInput? _last;

    /// <summary>What all layers read.</summary>
    public StageInputs(StageInput shared)
    {
        _shared = shared;
        _owned = [shared];
    }

    /// <summary>What each layer reads, summed when it is asked for.</summary>
    /// <param name="routed">Sums it; the result is disposed by whoever asked.</param>
    /// <param name="owned">What the sums need, in the order it is disposed.</param>
    public StageInputs(Func<LinearLayer, StageInput> routed, params IDisposable[] owned)
    {
        _routed = routed;
        _owned = owned;
    }

    /// <summary>Looks at what a layer reads; nothing of it may be used afterwards.</summary>
    public T Use<T>(LinearLayer layer, Func<StageInput, T> look)
    {
        if (_shared is not null)
        {
            return look(_shared);
        }

        // Gate and up projection of an expert read the same rows, one behind the other.
        (string?, int?) routing = (layer.RoutedBy, layer.Expert?.Number);
        if (_last is null || _lastRouting != routing)
        {
            _last?.Dispose();
            _last = _routed!(layer);
            _lastRouting = routing;
        }

        return look(_last);
    }

    public void Dispose()
    {
        _last?.Dispose();
        Array.ForEach(_owned, owned => owned.Dispose());
    }
}
