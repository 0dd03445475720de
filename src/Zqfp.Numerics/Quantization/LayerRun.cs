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
    private readonly ILayerDevice? _device;
    private readonly ILayerSteps _steps;
    private DampedHessian? _damped;
    private float[]? _columnWeights;

    public LayerRun(
        string layer, ReadOnlyMemory<float> weights, int rows, int columns, Hessian? hessian, QuantizationOptions options,
        ILayerDevice? device, CancellationToken cancellation)
    {
        _weights = weights;
        _rows = rows;
        _columns = columns;
        _hessian = hessian;
        _options = options;
        _cancellationToken = cancellation;
        _warnings = new LayerWarnings(layer);
        _device = device is not null && device.Serves(options) ? device : null;
        _steps = Steps(hessian);
    }

    public QuantizedLayer Quantize()
    {
        bool gptq = _options.Method == QuantizationMethod.Gptq;
        if (gptq || _options.ScaleSearch == ScaleSearch.Pivot)
        {
            _damped = DampedHessian.Create(_hessian!, _options, _steps, _warnings);
        }

        _columnWeights = ColumnWeights();
        QuantizedMatrix quantized = QuantizeLess(null, out double? loss);
        LowRankFactors? lowRank = null;
        int refits = _options.Rank > 0 ? _options.LowRankRefits : 0;
        for (int i = 0; i < refits; i++)
        {
            using (IErrorProducts error = Error(quantized, null))
            {
                lowRank = Fit(error);
            }

            quantized = QuantizeAround(lowRank);
        }

        // Only the sweeps need the factor; what follows reuses its memory.
        _damped?.Dispose();
        if (_options.Rank > 0)
        {
            using IErrorProducts error = Error(quantized, null);
            lowRank = Fit(error);
            loss = loss is { } swept && refits == 0 ? CorrectedLoss.Compute(swept, error, lowRank) : null;
        }

        loss ??= LossOf(quantized, lowRank);
        return new QuantizedLayer(quantized, lowRank, loss.Value, _warnings.ToList());
    }

    public void Dispose()
    {
        _damped?.Dispose();
        _steps.Dispose();
    }

    private ILayerSteps Steps(Hessian? hessian)
    {
        var workers = new Workers(_options.Threads, _cancellationToken);
        return _device?.Open(hessian, workers) ?? new ProcessorSteps(hessian, _options.BlockSize, workers);
    }

    private QuantizedMatrix QuantizeAround(LowRankFactors lowRank)
    {
        const int LeastColumnsOfRank = 4;
        if (!_options.SparesBranch || _options.Method != QuantizationMethod.Gptq || lowRank.Rank * LeastColumnsOfRank > _columns)
        {
            return QuantizeLess(lowRank, out _);
        }

        var workers = new Workers(_options.Threads, _cancellationToken);
        using Hessian free = BranchFreeHessian.Of(_hessian!, lowRank, workers);
        using ILayerSteps steps = Steps(free);
        using DampedHessian damped = DampedHessian.Create(free, _options, steps, new LayerWarnings(""));
        return QuantizeLess(lowRank, out _, damped);
    }

    private QuantizedMatrix QuantizeLess(LowRankFactors? lowRank, out double? loss, DampedHessian? damped = null)
    {
        bool gptq = _options.Method == QuantizationMethod.Gptq;
        var source = new WeightSource(_weights, _rows, _columns, lowRank);
        ScaleTable scales = ScaleCalculator.Compute(source, _options, _columnWeights, out int clamped, _cancellationToken);
        _warnings.ExponentsClamped(clamped, scales.Effective.Length, _options.MaxExponent);
        byte[] codes;
        loss = null;
        if (gptq)
        {
            DampedHessian factored = damped ?? _damped!;
            codes = factored.Factor.Sweep(source, factored, scales, _options, out double swept);
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

    private LowRankFactors Fit(IErrorProducts error) =>
        new LowRankSolver(error, _options.LowRankWeighting == LowRankWeighting.ActivationWeighted).Fit(
            _options.Rank, _options.LowRankStorage);

    private double LossOf(QuantizedMatrix quantized, LowRankFactors? lowRank)
    {
        using IErrorProducts error = Error(quantized, lowRank);
        return error.Loss(_hessian is not null);
    }

    private IErrorProducts Error(QuantizedMatrix quantized, LowRankFactors? lowRank) => _steps.Errors(_weights, quantized, lowRank);
}
