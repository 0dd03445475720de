namespace Zqfp.Numerics;

/// <summary>The steps of one layer's quantization.</summary>
internal sealed class LayerRun : IDisposable
{
    private readonly ReadOnlyMemory<float> _weights;
    private readonly int _rows;
    private readonly int _columns;
    private readonly Hessian? _hessian;
    private readonly QuantizationOptions _options;
    private readonly CancellationToken _cancellationToken;
    private readonly LayerWarnings _warnings;
    private DampedHessian? _damped;
    private float[]? _columnWeights;

    public LayerRun(
        string layer, ReadOnlyMemory<float> weights, int rows, int columns, Hessian? hessian, QuantizationOptions options,
        CancellationToken cancellation)
    {
        _weights = weights;
        _rows = rows;
        _columns = columns;
        _hessian = hessian;
        _options = options;
        _cancellationToken = cancellation;
        _warnings = new LayerWarnings(layer);
    }

    public QuantizedLayer Quantize()
    {
        bool gptq = _options.Method == QuantizationMethod.Gptq;
        if (gptq || _options.ScaleSearch == ScaleSearch.Pivot)
        {
            _damped = DampedHessian.Create(_hessian!, _options, _warnings, _cancellationToken);
        }

        _columnWeights = ColumnWeights();
        QuantizedMatrix quantized = QuantizeLess(null, out double? loss);
        LowRankFactors? lowRank = null;
        int refits = _options.Rank > 0 ? _options.LowRankRefits : 0;
        for (int i = 0; i < refits; i++)
        {
            lowRank = Fit(quantized);
            quantized = QuantizeAround(lowRank);
        }

        // Only the sweeps need the factor; what follows reuses its memory.
        _damped?.Dispose();
        if (_options.Rank > 0)
        {
            lowRank = Fit(quantized);
            loss = loss is { } swept && refits == 0
                ? CorrectedLoss.Compute(swept, Error(quantized, null), lowRank, _hessian!, _options.Threads, _cancellationToken)
                : null;
        }

        loss ??= Error(quantized, lowRank).Loss(_hessian);
        return new QuantizedLayer(quantized, lowRank, loss.Value, _warnings.ToList());
    }

    public void Dispose() => _damped?.Dispose();

    private QuantizedMatrix QuantizeAround(LowRankFactors lowRank)
    {
        const int LeastColumnsOfRank = 4;
        if (!_options.SparesBranch || _options.Method != QuantizationMethod.Gptq || lowRank.Rank * LeastColumnsOfRank > _columns)
        {
            return QuantizeLess(lowRank, out _);
        }

        var workers = new Workers(_options.Threads, _cancellationToken);
        using Hessian free = BranchFreeHessian.Of(_hessian!, lowRank, workers);
        using DampedHessian damped = DampedHessian.Create(free, _options, new LayerWarnings(""), _cancellationToken);
        return QuantizeLess(lowRank, out _, free, damped);
    }

    private QuantizedMatrix QuantizeLess(LowRankFactors? lowRank, out double? loss, Hessian? hessian = null, DampedHessian? damped = null)
    {
        bool gptq = _options.Method == QuantizationMethod.Gptq;
        var source = new WeightSource(_weights, _rows, _columns, lowRank);
        ScaleTable scales = ScaleCalculator.Compute(source, _options, _columnWeights, out int clamped, _cancellationToken);
        _warnings.ExponentsClamped(clamped, scales.Effective.Length, _options.MaxExponent);
        byte[] codes;
        loss = null;
        if (gptq)
        {
            codes = GptqSweep.Quantize(
                source, hessian ?? _hessian!, damped ?? _damped!, scales, _options, out double swept, _cancellationToken);
            loss = swept;
        }
        else
        {
            codes = RtnRounding.Quantize(source, scales, _options, _cancellationToken);
        }

        return new QuantizedMatrix(_rows, _columns, _options.Format, scales, codes);
    }

    private float[]? ColumnWeights() => _options.ScaleSearch switch
    {
        ScaleSearch.Diagonal => _hessian!.Diagonal(),
        ScaleSearch.Pivot => _damped!.ColumnPivots(),
        _ => null,
    };

    private LowRankFactors Fit(QuantizedMatrix quantized)
    {
        Hessian? weighting = _options.LowRankWeighting == LowRankWeighting.ActivationWeighted ? _hessian : null;
        return new LowRankSolver(Error(quantized, null), weighting, _options.Threads, _cancellationToken).Fit(
            _options.Rank, _options.LowRankStorage);
    }

    private StreamedError Error(QuantizedMatrix quantized, LowRankFactors? lowRank) =>
        new(new ErrorSource(_weights, quantized, lowRank), _options.Threads, _cancellationToken);
}
