using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization;

/// <summary>Runs a model slice after slice over the calibration windows and keeps what later slices read.</summary>
/// <remarks>
/// Several batches run at once, each on few threads: operators too small to share are computed side by side, and no thread waits for
/// the others after every operator. Memory: the weights of one slice, what it computes of <see cref="TokensAtOnce"/> tokens, and the
/// kept values of all windows.
/// </remarks>
/// <param name="rewriter">The model.</param>
/// <param name="batches">The windows.</param>
/// <param name="feeds">Makes the model's inputs.</param>
/// <param name="workers">Who computes; cancellation stops between two operators.</param>
/// <param name="tokensAtOnce">Tokens that are computed at a time.</param>
/// <param name="scratch">Where kept values lie; null to keep them in memory.</param>
/// <param name="gpu">The GPU that computes, one batch at a time; null for the processor.</param>
internal sealed class SliceRunner(
    ModelRewriter rewriter, IReadOnlyList<TokenBatch> batches, TokenFeeds feeds, Workers workers,
    int tokensAtOnce = SliceRunner.TokensAtOnce, ScratchPlace? scratch = null, SliceGpu? gpu = null)
    : IDisposable
{
    /// <summary>Tokens that are computed at a time, in all batches that run at once; more only where a single window is longer.</summary>
    public const int TokensAtOnce = 2048;

    private const int TokensOfBatch = 512;

    private readonly Dictionary<string, BatchValues> _kept = new(StringComparer.Ordinal);
    private readonly int _lanes = gpu is null
        ? Math.Clamp(tokensAtOnce / (batches[0].Windows * batches[0].Length), 1, workers.Threads)
        : 1;

    /// <summary>Batches as this runner takes them: small enough to run several at once.</summary>
    /// <param name="windows">The windows, one at least.</param>
    /// <param name="fixedBatch">Windows that the model computes in any case; null where it takes any number.</param>
    /// <param name="onGpu">Whether one batch runs at a time.</param>
    public static IReadOnlyList<TokenBatch> Batches(IReadOnlyList<int[]> windows, int? fixedBatch, bool onGpu = false) =>
        TokenBatch.Group(windows, most: WindowsOfBatch(windows[0].Length, fixedBatch, onGpu));

    /// <summary>Windows of a batch, at most.</summary>
    /// <param name="length">Tokens of a window.</param>
    /// <param name="fixedBatch">Windows that the model computes in any case; null where it takes any number.</param>
    /// <param name="onGpu">Whether one batch runs at a time.</param>
    public static int WindowsOfBatch(int length, int? fixedBatch, bool onGpu) =>
        fixedBatch ?? Math.Max(1, (onGpu ? TokensAtOnce : TokensOfBatch) / length);

    /// <summary>Runs the slice of <paramref name="stage"/> over every window.</summary>
    /// <param name="stage">The next stage; each is run once, in order.</param>
    /// <param name="isObserved">Whether what the stage observes is to be looked at; otherwise it is not held.</param>
    /// <returns>What the stage observes, to be disposed before the next stage runs.</returns>
    public StageValues Run(CalibrationStage stage, bool isObserved)
    {
        using Slice? slice = stage.Observes.All(_kept.ContainsKey) ? null : Open(stage);
        HashSet<string> observed = isObserved ? [.. stage.Observes] : [];
        Dictionary<string, BatchValues> made = new(StringComparer.Ordinal);
        foreach (string value in stage.Keeps.Concat(observed.Where(value => !_kept.ContainsKey(value))).Distinct())
        {
            made.Add(value, New());
        }

        if (slice is not null)
        {
            (workers with { Threads = _lanes }).For(batches.Count, i => Run(slice, i, made));
        }

        Dictionary<string, BatchValues> given = observed.ToDictionary(
            value => value, value => made.GetValueOrDefault(value) ?? _kept[value], StringComparer.Ordinal);
        return new StageValues(given, Keep(made, stage, observed));
    }

    /// <summary>The values of all windows that later slices read, after the slices that were run.</summary>
    public IReadOnlyDictionary<string, BatchValues> Kept => _kept;

    /// <summary>An empty value of all batches.</summary>
    public BatchValues New() => new(batches.Count, scratch, gpu?.HostMemory);

    /// <summary>Begins behind slices that were run by another process.</summary>
    /// <param name="value">One of the values that they kept.</param>
    /// <param name="batches">The value for each batch; they are disposed with this.</param>
    public void Continue(string value, BatchValues batches) => _kept.Add(value, batches);

    public void Dispose()
    {
        foreach (BatchValues values in _kept.Values)
        {
            values.Dispose();
        }
    }

    private void Run(Slice slice, int batch, Dictionary<string, BatchValues> made)
    {
        IReadOnlyList<OrtValue> outputs =
            slice.Run(batches[batch], value => _kept.GetValueOrDefault(value)?.Open(batch), feeds, workers.Cancellation);
        for (int o = 0; o < outputs.Count; o++)
        {
            if (made.TryGetValue(slice.OutputNames[o], out BatchValues? values))
            {
                values.Set(batch, outputs[o]);
            }
            else
            {
                outputs[o].Dispose();
            }
        }
    }

    /// <summary>Keeps what later slices read, drops what they do not, and returns what of that is still to be looked at.</summary>
    private List<BatchValues> Keep(Dictionary<string, BatchValues> made, CalibrationStage stage, HashSet<string> observed)
    {
        List<BatchValues> leaving = [];
        foreach ((string name, BatchValues values) in made)
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
            _kept.Remove(name, out BatchValues? values);
            if (observed.Contains(name))
            {
                leaving.Add(values!);
            }
            else
            {
                values!.Dispose();
            }
        }

        return leaving;
    }

    private Slice Open(CalibrationStage stage)
    {
        Dictionary<string, (DataType Type, int Rank)> types = stage.Reads.ToDictionary(
            value => value,
            value => ((DataType)_kept[value].Type, _kept[value].Rank),
            StringComparer.Ordinal);
        return new Slice(rewriter.Slice(stage, types), Math.Max(1, workers.Threads / _lanes), gpu?.Number);
    }

    /// <summary>A session on one slice.</summary>
    private sealed class Slice : IDisposable
    {
        private readonly ModelSession _session;
        private readonly int? _gpu;

        public Slice(SliceModel model, int threads, int? gpu)
        {
            _gpu = gpu;
            _session = ModelSession.Open(
                model, new SessionSettings(threads, Gpu: gpu ?? 0), gpu is null ? ZqfpDevice.Cpu : ZqfpDevice.Cuda);
            OutputNames = [.. model.Outputs];
        }

        public List<string> OutputNames { get; }

        public IReadOnlyList<OrtValue> Run(
            TokenBatch batch, Func<string, BatchValues.Loan?> kept, TokenFeeds feeds, CancellationToken cancellation)
        {
            List<IDisposable> made = [];
            try
            {
                OrtValue[] inputs = new OrtValue[_session.Inputs.Count];
                for (int i = 0; i < inputs.Length; i++)
                {
                    ModelInput input = _session.Inputs[i];
                    if (kept(input.Name) is { } loan)
                    {
                        made.Add(loan);
                        inputs[i] = loan.Value;
                        continue;
                    }

                    inputs[i] = feeds.Create(input, batch);
                    made.Add(inputs[i]);
                }

                return _gpu is { } gpu
                    ? _session.RunOnGpu(inputs, OutputNames, gpu, cancellation)
                    : _session.Run(inputs, OutputNames, cancellation);
            }
            finally
            {
                made.ForEach(value => value.Dispose());
            }
        }

        public void Dispose() => _session.Dispose();
    }
}
