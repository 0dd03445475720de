using Microsoft.ML.OnnxRuntime;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization;

/// <summary>Runs a model slice after slice over the calibration windows and keeps what later slices read.</summary>
/// <remarks>Memory: the weights of one slice, and the kept values of all windows.</remarks>
internal sealed class SliceRunner(ModelRewriter rewriter, IReadOnlyList<TokenBatch> batches, TokenFeeds feeds, int threads) : IDisposable
{
    private readonly Dictionary<string, OrtValue[]> _kept = new(StringComparer.Ordinal);

    /// <summary>Runs the slice of <paramref name="stage"/> over every window.</summary>
    /// <param name="stage">The next stage; each is run once, in order.</param>
    /// <param name="isObserved">Whether what the stage observes is to be looked at; otherwise it is not held.</param>
    /// <param name="cancellation">Stops between two batches, or within one.</param>
    /// <returns>What the stage observes, to be disposed before the next stage runs.</returns>
    public StageValues Run(CalibrationStage stage, bool isObserved, CancellationToken cancellation)
    {
        using Slice? slice = stage.Observes.All(_kept.ContainsKey) ? null : Open(stage);
        HashSet<string> observed = isObserved ? [.. stage.Observes] : [];
        Dictionary<string, OrtValue[]> made = new(StringComparer.Ordinal);
        foreach (string value in stage.Keeps.Concat(observed.Where(value => !_kept.ContainsKey(value))).Distinct())
        {
            made.Add(value, new OrtValue[batches.Count]);
        }

        for (int i = 0; i < batches.Count; i++)
        {
            OrtValue[] outputs = slice?.Run(batches[i], value => _kept.GetValueOrDefault(value)?[i], feeds, cancellation) ?? [];
            for (int o = 0; o < outputs.Length; o++)
            {
                if (made.TryGetValue(slice!.OutputNames[o], out OrtValue[]? values))
                {
                    values[i] = outputs[o];
                }
                else
                {
                    outputs[o].Dispose();
                }
            }
        }

        Dictionary<string, OrtValue[]> given = observed.ToDictionary(value => value, value => made.GetValueOrDefault(value) ?? _kept[value],
            StringComparer.Ordinal);
        return new StageValues(given, Keep(made, stage, observed));
    }

    public void Dispose()
    {
        foreach (OrtValue value in _kept.Values.SelectMany(values => values))
        {
            value.Dispose();
        }
    }

    /// <summary>Keeps what later slices read, drops what they do not, and returns what of that is still to be looked at.</summary>
    private List<OrtValue[]> Keep(Dictionary<string, OrtValue[]> made, CalibrationStage stage, HashSet<string> observed)
    {
        List<OrtValue[]> leaving = [];
        foreach ((string name, OrtValue[] values) in made)
        {
            if (stage.Keeps.Contains(name))
            {
                _kept.Add(name, values);
            }
            else
            {
                leaving.Add(values);
            }
        }

        foreach (string name in stage.Drops)
        {
            _kept.Remove(name, out OrtValue[]? values);
            if (observed.Contains(name))
            {
                leaving.Add(values!);
            }
            else
            {
                Array.ForEach(values!, value => value.Dispose());
            }
        }

        return leaving;
    }

    private Slice Open(CalibrationStage stage)
    {
        Dictionary<string, (DataType Type, int Rank)> types = stage.Reads.ToDictionary(
            value => value,
            value =>
            {
                OrtTensorTypeAndShapeInfo tensor = _kept[value][0].GetTensorTypeAndShape();
                return ((DataType)tensor.ElementDataType, tensor.DimensionsCount);
            },
            StringComparer.Ordinal);
        return new Slice(rewriter.Slice(stage, types), threads);
    }

    /// <summary>A session on one slice.</summary>
    private sealed class Slice : IDisposable
    {
        private readonly ModelSession _session;

        public Slice(SliceModel model, int threads)
        {
            _session = ModelSession.Open(model, new SessionSettings(threads));
            OutputNames = [.. model.Outputs];
        }

        public List<string> OutputNames { get; }

        public OrtValue[] Run(TokenBatch batch, Func<string, OrtValue?> kept, TokenFeeds feeds, CancellationToken cancellation)
        {
            List<OrtValue> made = [];
            try
            {
                OrtValue[] inputs = new OrtValue[_session.Inputs.Count];
                for (int i = 0; i < inputs.Length; i++)
                {
                    ModelInput input = _session.Inputs[i];
                    if (kept(input.Name) is not { } value)
                    {
                        value = feeds.Create(input, batch);
                        made.Add(value);
                    }

                    inputs[i] = value;
                }

                return _session.Run(inputs, OutputNames, cancellation);
            }
            finally
            {
                made.ForEach(value => value.Dispose());
            }
        }

        public void Dispose() => _session.Dispose();
    }
}
