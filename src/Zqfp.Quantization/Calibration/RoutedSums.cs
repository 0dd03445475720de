using System.Numerics.Tensors;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Sums up what the experts of a stage read: of each expert only the rows that the router sends it.</summary>
/// <remarks>
/// <para>Memory: the moments of one expert, and those of all rows where some expert has few.</para>
/// <para>
/// An expert that saw n of fewer than 4 K tokens has a Hessian that says little about most directions. It is blended: n / (4 K) of its own,
/// the rest of the rows of all experts that read the same value, where there are others. What an expert itself makes for its last layer is
/// like nothing that others make: there the rest is the diagonal of its own. With 4 K tokens or more, and for rows that a loop gathers for
/// one expert's first layers, it is its own.
/// </para>
/// <para>
/// Where weights are moved to what the float model makes, only tokens count that go to the expert in both, the float model and the one
/// quantized so far: of no others the float model says what the expert makes.
/// </para>
/// </remarks>
/// <param name="options">The options of the run.</param>
/// <param name="stage">The stage.</param>
/// <param name="batches">The windows.</param>
/// <param name="read">What the layers read as the quantized layers before make it.</param>
/// <param name="exact">The same of the float model; null where nothing is compared with it.</param>
/// <param name="workers">Who computes.</param>
internal sealed class RoutedSums(
    QuantizeOptions options, CalibrationStage stage, IReadOnlyList<TokenBatch> batches, StageValues read, StageValues? exact,
    Workers workers)
    : ITokenSample, IDisposable
{
    /// <summary>An expert with so many tokens for each input has statistics of its own.</summary>
    private const int EnoughTokens = 4;

    private readonly int _columns = stage.Layers[0].InFeatures;
    private readonly TokenRouting _routing = new(stage, batches);

    /// <summary>A layer of each expert that reads the value.</summary>
    private readonly LinearLayer[] _experts =
        [.. stage.Layers.Where(layer => layer.IsExpert).DistinctBy(layer => (layer.RoutedBy, layer.Expert?.Number))];

    private Hessian? _pooled;

    /// <summary>Who computes.</summary>
    public Workers Workers => workers;

    /// <summary>The first fifth of the windows is held out; 0 of a single one.</summary>
    public int HeldWindows { get; } = batches.Sum(batch => batch.Windows) is > 1 and int count ? Math.Max(1, count / 5) : 0;

    /// <summary>Whether rows are known to belong to tokens, so that windows can be held out.</summary>
    public bool IsAligned { get; } = Enumerable.Range(0, batches.Count).All(i =>
    {
        int tokens = batches[i].Windows * batches[i].Length;
        int rows = read.Floats(stage.Input, i).Length / stage.Layers[0].InFeatures;
        return tokens > 0 && rows > 0 && rows % tokens == 0;
    });

    /// <summary>Looks at some of the rows, evenly spread, whatever expert reads them; of those of one token at one.</summary>
    public void Sample(int count, Action<float[], bool> look)
    {
        int[][] all = [.. Enumerable.Range(0, batches.Count).Select(i => _routing.OfTokens(stage.Layers[0], read, i))];
        int step = Math.Max(1, all.Sum(rows => rows.Length) / count);
        for (int i = 0, window = 0, before = 0; i < batches.Count; window += batches[i].Windows, before += all[i].Length, i++)
        {
            ReadOnlySpan<float> rows = read.Floats(stage.Input, i);
            int held = (int)((long)all[i].Length * Math.Clamp(HeldWindows - window, 0, batches[i].Windows) / batches[i].Windows);
            int first = (step - (before % step)) % step;
            int[] taken = [.. Enumerable.Range(0, all[i].Length).Where(token => token >= first && (token - first) % step == 0)];
            foreach (bool isHeld in (bool[])[true, false])
            {
                int[] some = [.. taken.Where(token => (token < held) == isHeld).Select(token => all[i][token])];
                if (some.Length > 0)
                {
                    look(Gather(rows, some), isHeld);
                }
            }
        }
    }

    /// <summary>What one expert reads. The caller disposes it.</summary>
    /// <param name="layer">The expert.</param>
    /// <param name="rotation">Inputs of a block that are rotated, 0 for none.</param>
    public StageInput Of(LinearLayer layer, int rotation)
    {
        bool hasTargets = options.LayerTarget != LayerTarget.None && HeldWindows > 0 && IsAligned;
        RoutedRows[] own = [.. batches.Select((_, i) => _routing.Of(layer, read, i))];
        long seen = own.Sum(rows => (long)rows.Rows.Length);
        if (seen == 0)
        {
            return new StageInput(null, null, rotation, null) { Tokens = 0 };
        }

        if (hasTargets && seen >= (long)EnoughTokens * _columns && own.All(rows => rows.Tokens is not null))
        {
            using var both = new Moments(this, rotation, hasTargets: true);
            if (AddCommon(both, layer, own))
            {
                return both.Take() with { Tokens = seen };
            }
        }

        using var moments = new Moments(this, rotation, hasTargets: false);
        for (int i = 0; i < batches.Count; i++)
        {
            workers.Cancellation.ThrowIfCancellationRequested();
            moments.Add(Gather(read.Floats(stage.Input, i), own[i].Rows), exact: null, held: 0);
        }

        StageInput input = moments.Take() with { Tokens = seen };
        if (seen < (long)EnoughTokens * _columns && input.Hessian is { } hessian)
        {
            float share = (float)seen / ((float)EnoughTokens * _columns);
            if (layer.IsInner)
            {
                KeepDiagonal(hessian, share);
            }
            else if (_experts.Length > 1)
            {
                Blend(hessian, Pooled(rotation), share);
            }
        }

        return input;
    }

    public void Dispose() => _pooled?.Dispose();

    /// <summary>Adds the tokens that go to the expert in both runs; returns whether some are held out and some are not.</summary>
    private bool AddCommon(Moments moments, LinearLayer layer, RoutedRows[] own)
    {
        long fitted = 0;
        long heldOut = 0;
        for (int i = 0, window = 0; i < batches.Count; window += batches[i].Windows, i++)
        {
            workers.Cancellation.ThrowIfCancellationRequested();
            int held = Math.Clamp(HeldWindows - window, 0, batches[i].Windows) * batches[i].Length;
            RoutedRows there = exact is null ? own[i] : _routing.Of(layer, exact, i);
            (int[] here, int[] other, int heldRows) = Common(own[i], there, held);
            fitted += here.Length - heldRows;
            heldOut += heldRows;
            float[] rows = Gather(read.Floats(stage.Input, i), here);
            moments.Add(rows, exact is null ? [.. rows] : Gather(exact.Floats(stage.Input, i), other), heldRows);
        }

        return fitted > 0 && heldOut > 0;
    }

    /// <summary>The rows of the same tokens in two runs, and how many of them are of the first <paramref name="held"/> tokens.</summary>
    private static (int[] Here, int[] There, int Held) Common(RoutedRows here, RoutedRows there, int held)
    {
        if (there.Tokens is null)
        {
            return ([], [], 0);
        }

        List<int> ofHere = [];
        List<int> ofThere = [];
        int heldRows = 0;
        for (int i = 0, j = 0; i < here.Rows.Length && j < there.Rows.Length;)
        {
            int difference = here.Tokens![i] - there.Tokens[j];
            if (difference == 0)
            {
                ofHere.Add(here.Rows[i]);
                ofThere.Add(there.Rows[j]);
                heldRows += here.Tokens[i] < held ? 1 : 0;
            }

            i += difference <= 0 ? 1 : 0;
            j += difference >= 0 ? 1 : 0;
        }

        return ([.. ofHere], [.. ofThere], heldRows);
    }

    /// <summary>
    /// The Hessian of the rows of all experts, one expert after the other, so that it is the same where a row is there once for each of its
    /// experts as where experts read what they need of it.
    /// </summary>
    private Hessian Pooled(int rotation)
    {
        if (_pooled is null)
        {
            using var moments = new Moments(this, rotation, hasTargets: false);
            foreach (LinearLayer expert in _experts)
            {
                for (int i = 0; i < batches.Count; i++)
                {
                    workers.Cancellation.ThrowIfCancellationRequested();
                    moments.Add(Gather(read.Floats(stage.Input, i), _routing.Of(expert, read, i).Rows), exact: null, held: 0);
                }
            }

            _pooled = moments.Take().Hessian!;
        }

        return _pooled;
    }

    private static void Blend(Hessian own, Hessian all, float share)
    {
        for (int i = 0; i < own.Size; i++)
        {
            Span<float> row = own.MutableRow(i);
            TensorPrimitives.Multiply(row, share, row);
            TensorPrimitives.MultiplyAdd(all.Row(i), 1 - share, row, row);
        }
    }

    private static void KeepDiagonal(Hessian own, float share)
    {
        for (int i = 0; i < own.Size; i++)
        {
            Span<float> row = own.MutableRow(i);
            float diagonal = row[i];
            TensorPrimitives.Multiply(row, share, row);
            row[i] = diagonal;
        }
    }

    private float[] Gather(ReadOnlySpan<float> values, int[] rows)
    {
        float[] gathered = new float[(long)rows.Length * _columns];
        for (int i = 0; i < rows.Length; i++)
        {
            values.Slice(rows[i] * _columns, _columns).CopyTo(gathered.AsSpan(i * _columns));
        }

        return gathered;
    }

    /// <summary>The sums over some rows while they grow.</summary>
    private sealed class Moments : IDisposable
    {
        private readonly int _columns;
        private readonly int _rotation;
        private readonly bool _isRounded;
        private readonly ActivationMeter _meter;
        private readonly TokenRounding _rounding;
        private readonly GramAccumulator _fit;
        private readonly GramAccumulator? _held;

        public Moments(RoutedSums owner, int rotation, bool hasTargets)
        {
            _columns = owner._columns;
            _rotation = rotation;

            // Without rotation and targets what is summed is the input before it is rounded: the paper's recipe.
            _isRounded = rotation > 0 || hasTargets;
            _meter = new ActivationMeter(_columns);
            _rounding = new TokenRounding(_columns, rotation, owner.Options.Activations);
            int[] beside = hasTargets ? [_columns] : [];
            _fit = new GramAccumulator(_columns, owner.Workers, beside);
            _held = hasTargets ? new GramAccumulator(_columns, owner.Workers, beside) : null;
        }

        /// <summary>Adds rows, the first <paramref name="held"/> of which are held out; they are changed.</summary>
        public void Add(float[] rows, float[]? exact, int held)
        {
            _held?.Add(held, places => Write(places, rows, exact!, 0));
            _fit.Add((rows.Length / _columns) - held, places => Write(places, rows, exact, held));
        }

        public StageInput Take()
        {
            if (!_meter.HasSeenAny)
            {
                return new StageInput(null, null, _rotation, null);
            }

            long tokens = _fit.Tokens + (_held?.Tokens ?? 0);
            Hessian fit = _fit.ToHessian(tokens);
            if (_held is null)
            {
                return new StageInput(fit, _meter.ToRange(fit), _rotation, null);
            }

            Hessian held = _held.ToHessian(tokens);
            var targets = new StageTargets(fit, held, new PartedMoment(_fit.TakeBeside(0, tokens), _held.TakeBeside(0, tokens)),
                new Dictionary<string, PartedMoment>());
            return new StageInput(null, _meter.ToRange(fit, held), _rotation, targets);
        }

        public void Dispose()
        {
            _fit.Dispose();
            _held?.Dispose();
        }

        private void Write(GramAccumulator.Places places, float[] rows, float[]? exact, int offset)
        {
            int start = offset + places.First;
            _meter.Add(rows.AsSpan(start * _columns, places.Count * _columns));
            for (int i = 0; i < places.Count; i++)
            {
                Span<float> row = rows.AsSpan((start + i) * _columns, _columns);
                if (_isRounded)
                {
                    _rounding.Rotate(row);
                    _rounding.Round(row);
                }

                places.Set(i, row);
                if (_held is not null)
                {
                    Span<float> shift = exact.AsSpan((start + i) * _columns, _columns);
                    _rounding.Rotate(shift);
                    TensorPrimitives.Subtract(shift, row, shift);
                    places.SetBeside(0, i, shift);
                }
            }
        }
    }

    private QuantizeOptions Options => options;
}
