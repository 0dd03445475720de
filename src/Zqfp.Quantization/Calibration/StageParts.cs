using System.Numerics.Tensors;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// The moments of one stage while they grow, in two parts: of the tokens that targets are fitted to, and of those held out. Tokens are
/// rotated, rounded and compared where they are written to the sums' blocks, by several threads.
/// </summary>
internal sealed class StageParts : IDisposable
{
    private readonly StageSource _source;
    private readonly int _rotation;
    private readonly int _columns;
    private readonly TargetJoin[] _joins;
    private readonly string[] _joined;
    private readonly bool _hasShift;
    private readonly bool _isRounded;
    private readonly ActivationMeter _meter;
    private readonly TokenRounding _rounding;
    private readonly GramAccumulator _fit;
    private readonly GramAccumulator? _held;
    private readonly StageMeanSums? _sums;
    private readonly float[][] _streams;
    private readonly float[][] _targets;
    private float[] _tokens = [];
    private float[] _exact = [];

    /// <summary>Prepares the sums.</summary>
    /// <param name="source">The stage and its values.</param>
    /// <param name="rotation">Inputs of a block that are rotated, 0 for none.</param>
    /// <param name="hasTargets">
    /// Whether float targets are summed too. Without them and without rotation what is summed is the input before it is rounded: the
    /// paper's recipe.
    /// </param>
    public StageParts(StageSource source, int rotation, bool hasTargets)
    {
        IReadOnlyList<LinearLayer> layers = source.Stage.Layers;
        _source = source;
        _rotation = rotation;
        _columns = layers[0].InFeatures;
        _joined = hasTargets ? [.. layers.Select(layer => layer.Name).Where(source.Joins.ContainsKey)] : [];
        _joins = Array.ConvertAll(_joined, name => source.Joins[name]);
        _hasShift = hasTargets && _joined.Length < layers.Count;
        _isRounded = hasTargets || rotation > 0;
        _meter = new ActivationMeter(_columns);
        _rounding = new TokenRounding(_columns, rotation, source.Options.Activations);
        int[] beside = [.. _hasShift ? [_columns] : (int[])[], .. _joins.Select(join => join.Bias.Length)];
        _fit = new GramAccumulator(_columns, source.Workers, beside);
        _held = hasTargets ? new GramAccumulator(_columns, source.Workers, beside) : null;
        _sums = hasTargets && source.FitsBiases ? new StageMeanSums(_columns, beside) : null;
        _streams = Array.ConvertAll(_joins, _ => Array.Empty<float>());
        _targets = Array.ConvertAll(_joins, _ => Array.Empty<float>());
    }

    /// <summary>Adds a batch.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="held">How many of its first tokens are held out; without targets none is.</param>
    public void Add(int batch, int held)
    {
        int count = _source.Read.Read(_source.Stage.Input, batch, ref _tokens, _source.Workers).Length / _columns;
        if (_hasShift)
        {
            (_source.Exact ?? _source.Read).Read(_source.Stage.Input, batch, ref _exact, _source.Workers);
        }

        for (int i = 0; i < _joins.Length; i++)
        {
            _source.Read.Read(_joins[i].Place.Stream, batch, ref _streams[i], _source.Workers);
            _source.Exact!.Read(_joins[i].Place.Sum, batch, ref _targets[i], _source.Workers);
        }

        int first = _held is null ? 0 : held;
        _held?.Add(first, places => Write(places, 0));
        _fit.Add(count - first, places => Write(places, first));
        _sums?.Add(Written(0, first), isHeld: true);
        _sums?.Add(Written(first, count), isHeld: false);
    }

    /// <summary>The sums.</summary>
    public StageInput Take()
    {
        if (_held is null)
        {
            if (!_meter.HasSeenAny)
            {
                return new StageInput(null, null, _rotation, null);
            }

            Hessian hessian = _fit.ToHessian();
            return new StageInput(hessian, _meter.ToRange(hessian), _rotation, null);
        }

        long tokens = _fit.Tokens + _held.Tokens;
        Hessian fit = _fit.ToHessian(tokens);
        Hessian held = _held.ToHessian(tokens);
        PartedMoment[] beside = [.. Enumerable.Range(0, (_hasShift ? 1 : 0) + _joined.Length)
            .Select(index => new PartedMoment(_fit.TakeBeside(index, tokens), _held.TakeBeside(index, tokens)))];
        ActivationRange range = _meter.ToRange(fit, held);
        double[][]? means = _sums?.Center(fit, held, beside);
        var targets = new StageTargets(fit, held, _hasShift ? beside[0] : null, ByLayer(beside))
        {
            Means = means is null ? null : new StageMeans(means[0], _hasShift ? means[1] : null, ByLayer(means[1..])),
        };
        Dispose();
        return new StageInput(null, range, _rotation, targets);
    }

    /// <summary>Of what is beside the input, that of each layer whose targets are summed.</summary>
    private Dictionary<string, T> ByLayer<T>(T[] beside) => _joined.Zip(beside.Skip(_hasShift ? 1 : 0))
        .ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);

    public void Dispose()
    {
        _fit.Dispose();
        _held?.Dispose();
    }

    /// <summary>What some tokens of the batch have become: a, x - a where it is summed, and each t.</summary>
    private Memory<float>[] Written(int start, int end)
    {
        Memory<float> Rows(float[] values, int columns) => values.AsMemory(start * columns, (end - start) * columns);
        return
        [
            Rows(_tokens, _columns), .. _hasShift ? [Rows(_exact, _columns)] : (Memory<float>[])[],
            .. _targets.Select((target, i) => Rows(target, _joins[i].Bias.Length)),
        ];
    }

    // Each token is written once, so its values are changed where they are.
    private void Write(GramAccumulator.Places places, int offset)
    {
        int start = offset + places.First;
        _meter.Add(_tokens.AsSpan(start * _columns, places.Count * _columns));
        for (int i = 0; i < places.Count; i++)
        {
            int token = start + i;
            Span<float> values = _tokens.AsSpan(token * _columns, _columns);
            if (_isRounded)
            {
                _rounding.Rotate(values);
                _rounding.Round(values);
            }

            places.Set(i, values);
            if (_hasShift)
            {
                Span<float> shift = _exact.AsSpan(token * _columns, _columns);
                _rounding.Rotate(shift);
                TensorPrimitives.Subtract(shift, values, shift);
                places.SetBeside(0, i, shift);
            }

            for (int j = 0; j < _joins.Length; j++)
            {
                places.SetBeside((_hasShift ? 1 : 0) + j, i, Target(j, token));
            }
        }
    }

    /// <summary>
    /// What a layer's product is to be: the float model's stream behind it, less the quantized one's before it and the bias.
    /// </summary>
    private ReadOnlySpan<float> Target(int join, int token)
    {
        float[] bias = _joins[join].Bias;
        Span<float> target = _targets[join].AsSpan(token * bias.Length, bias.Length);
        TensorPrimitives.Subtract(target, _streams[join].AsSpan(token * bias.Length, bias.Length), target);
        TensorPrimitives.Subtract(target, bias, target);
        return target;
    }
}
