using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Sums up what one stage's slices gave.</summary>
/// <param name="options">The options of the run.</param>
/// <param name="stage">The stage.</param>
/// <param name="joins">Where its layers' outputs join the residual stream, by name.</param>
/// <param name="batches">The windows.</param>
/// <param name="read">What the layers read, and the stream, as the quantized layers before make it.</param>
/// <param name="exact">The same of the float model; null where nothing is compared with it.</param>
/// <param name="workers">Who computes.</param>
internal sealed class StageSums(
    QuantizeOptions options, CalibrationStage stage, IReadOnlyDictionary<string, TargetJoin> joins, IReadOnlyList<TokenBatch> batches,
    StageValues read, StageValues? exact, Workers workers)
{
    private readonly int _columns = stage.Layers[0].InFeatures;

    /// <summary>The first fifth of the windows is held out; 0 of a single one.</summary>
    public int HeldWindows { get; } = batches.Sum(batch => batch.Windows) is > 1 and int count ? Math.Max(1, count / 5) : 0;

    /// <summary>Who computes.</summary>
    public Workers Workers => workers;

    /// <summary>What the layers read in one batch.</summary>
    public ReadOnlySpan<float> Input(int batch) => read.Floats(stage.Input, batch);

    /// <summary>Looks at some of the tokens that the layers read, evenly spread over all windows.</summary>
    /// <param name="count">About how many; all where there are fewer.</param>
    /// <param name="look">Is given whole tokens, and whether they are held out.</param>
    public void Sample(int count, Action<float[], bool> look)
    {
        int length = batches[0].Length;
        int step = Math.Max(1, batches.Sum(batch => batch.Windows) * length / count);
        for (int i = 0, window = 0; i < batches.Count; window += batches[i].Windows, i++)
        {
            ReadOnlySpan<float> tokens = Input(i);
            for (int w = 0; w < batches[i].Windows; w++)
            {
                int first = (step - ((window + w) * length % step)) % step;
                float[] some = new float[(length - first + step - 1) / step * _columns];
                for (int t = first, n = 0; t < length; t += step, n++)
                {
                    tokens.Slice(((w * length) + t) * _columns, _columns).CopyTo(some.AsSpan(n * _columns));
                }

                look(some, window + w < HeldWindows);
            }
        }
    }

    /// <summary>Sums all windows up.</summary>
    /// <param name="rotation">Inputs of a block that are rotated, 0 for none.</param>
    public StageInput Take(int rotation)
    {
        try
        {
            bool hasTargets = options.LayerTarget != LayerTarget.None && HeldWindows > 0 && IsAligned;
            return hasTargets ? TakeWithTargets(rotation) : TakeInputs(rotation);
        }
        catch (ZqfpException e)
        {
            string more = stage.Layers.Count > 1 ? $" (and {stage.Layers.Count - 1} more that read '{stage.Input}')" : "";
            throw new ZqfpException(e.Code, $"Layer '{stage.Layers[0].DisplayName}'{more}: {e.Message}", e.File, e);
        }
    }

    /// <summary>
    /// Whether every window's tokens are there, in float and quantized alike: an expert reads those that its router sends it, and these
    /// differ. Of such a stage nothing can be compared or held out.
    /// </summary>
    public bool IsAligned { get; } = Enumerable.Range(0, batches.Count).All(i =>
    {
        int tokens = batches[i].Windows * batches[i].Length;
        return read.Floats(stage.Input, i).Length == tokens * stage.Layers[0].InFeatures
            && joins.Values.All(join => read.Floats(join.Place.Stream, i).Length == tokens * join.Bias.Length);
    });

    // Without rotation and targets what is summed is the input before it is rounded: the paper's recipe.
    private StageInput TakeInputs(int rotation)
    {
        using var gram = new GramAccumulator(_columns, workers);
        var meter = new ActivationMeter(_columns);
        var rounding = new TokenRounding(_columns, rotation, options.Activations, workers);
        for (int i = 0; i < batches.Count; i++)
        {
            workers.Cancellation.ThrowIfCancellationRequested();
            ReadOnlySpan<float> tokens = Input(i);
            meter.Add(tokens);
            if (rotation > 0)
            {
                float[] rounded = tokens.ToArray();
                rounding.Apply(rounded, rounded.Length);
                gram.Add(rounded);
            }
            else
            {
                gram.Add(tokens);
            }
        }

        if (!meter.HasSeenAny)
        {
            return new StageInput(null, null, rotation, null);
        }

        Hessian hessian = gram.ToHessian();
        return new StageInput(hessian, meter.ToRange(hessian), rotation, null);
    }

    private StageInput TakeWithTargets(int rotation)
    {
        using var parts = new Parts(this, rotation);
        for (int i = 0, window = 0; i < batches.Count; window += batches[i].Windows, i++)
        {
            workers.Cancellation.ThrowIfCancellationRequested();
            parts.Add(i, Math.Clamp(HeldWindows - window, 0, batches[i].Windows) * batches[i].Length);
        }

        return parts.Take();
    }

    /// <summary>The sums while they grow.</summary>
    private sealed class Parts : IDisposable
    {
        private readonly StageSums _owner;
        private readonly int _rotation;
        private readonly int _columns;
        private readonly ActivationMeter _meter;
        private readonly TokenRounding _rounding;
        private readonly (GramAccumulator Fit, GramAccumulator Held) _gram;
        private readonly (CrossAccumulator Fit, CrossAccumulator Held)? _shift;
        private readonly Dictionary<string, (CrossAccumulator Fit, CrossAccumulator Held)> _outputs = new(StringComparer.Ordinal);
        private long _tokens;

        public Parts(StageSums owner, int rotation)
        {
            _owner = owner;
            _rotation = rotation;
            _columns = owner._columns;
            Workers workers = owner.Workers;
            _meter = new ActivationMeter(_columns);
            _rounding = new TokenRounding(_columns, rotation, owner.Options.Activations, workers);
            _gram = (new GramAccumulator(_columns, workers), new GramAccumulator(_columns, workers));
            foreach (LinearLayer layer in owner.Stage.Layers)
            {
                if (owner.Joins.ContainsKey(layer.Name))
                {
                    _outputs.Add(layer.Name, (new CrossAccumulator(layer.OutFeatures, _columns, workers),
                        new CrossAccumulator(layer.OutFeatures, _columns, workers)));
                }
            }

            if (_outputs.Count < owner.Stage.Layers.Count)
            {
                _shift = (new CrossAccumulator(_columns, _columns, workers), new CrossAccumulator(_columns, _columns, workers));
            }
        }

        /// <summary>Adds a batch, whose first <paramref name="held"/> tokens are held out.</summary>
        public void Add(int batch, int held)
        {
            ReadOnlySpan<float> tokens = _owner.Input(batch);
            _meter.Add(tokens);
            int count = tokens.Length / _columns;
            float[] rounded = tokens.ToArray();
            _rounding.Apply(rounded, rounded.Length);
            _gram.Held.Add(rounded.AsSpan(0, held * _columns));
            _gram.Fit.Add(rounded.AsSpan(held * _columns));
            if (_shift is { } shift)
            {
                float[] exact = (_owner.Exact is { } values ? values.Floats(_owner.Stage.Input, batch) : tokens).ToArray();
                _rounding.Rotate(exact, exact.Length);
                Subtract(exact, rounded);
                Add(shift, exact, rounded, _columns, held);
            }

            foreach ((string name, (CrossAccumulator Fit, CrossAccumulator Held) sums) in _outputs)
            {
                Add(sums, Outputs(_owner.Joins[name], batch), rounded, _owner.Joins[name].Bias.Length, held);
            }

            _tokens += count;
        }

        /// <summary>The sums.</summary>
        public StageInput Take()
        {
            Hessian fit = _gram.Fit.ToHessian(_tokens);
            Hessian held = _gram.Held.ToHessian(_tokens);
            var all = new Hessian(_columns, _tokens);
            all.Add(fit);
            all.Add(held);
            var targets = new StageTargets(
                fit, held, _shift is { } shift ? Take(shift) : null,
                _outputs.ToDictionary(entry => entry.Key, entry => Take(entry.Value), StringComparer.Ordinal));
            return new StageInput(all, _meter.ToRange(all), _rotation, targets);
        }

        public void Dispose()
        {
            _gram.Fit.Dispose();
            _gram.Held.Dispose();
            foreach ((CrossAccumulator fit, CrossAccumulator held) in _shift is { } shift ? _outputs.Values.Append(shift) : _outputs.Values)
            {
                fit.Dispose();
                held.Dispose();
            }
        }

        /// <summary>
        /// What a layer's product is to be: the float model's stream behind it, less the quantized one's before it and the bias.
        /// </summary>
        private float[] Outputs(TargetJoin join, int batch)
        {
            ReadOnlySpan<float> stream = _owner.Read.Floats(join.Place.Stream, batch);
            float[] outputs = _owner.Exact!.Floats(join.Place.Sum, batch).ToArray();
            int rows = join.Bias.Length;
            Subtract(outputs, stream);
            for (int start = 0; start < outputs.Length; start += rows)
            {
                Subtract(outputs.AsSpan(start, rows), join.Bias);
            }

            return outputs;
        }

        private void Add((CrossAccumulator Fit, CrossAccumulator Held) sums, float[] left, float[] right, int rows, int held)
        {
            sums.Held.Add(left.AsSpan(0, held * rows), right.AsSpan(0, held * _columns));
            sums.Fit.Add(left.AsSpan(held * rows), right.AsSpan(held * _columns));
        }

        private PartedMoment Take((CrossAccumulator Fit, CrossAccumulator Held) sums) => new(
            sums.Fit.Take(_tokens), sums.Held.Take(_tokens));

        private static void Subtract(Span<float> from, ReadOnlySpan<float> values) => System.Numerics.Tensors.TensorPrimitives.Subtract(
            from, values, from);
    }

    private QuantizeOptions Options => options;

    private CalibrationStage Stage => stage;

    private IReadOnlyDictionary<string, TargetJoin> Joins => joins;

    private StageValues Read => read;

    private StageValues? Exact => exact;
}
