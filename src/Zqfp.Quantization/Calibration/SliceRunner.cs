using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.Evaluation;
using Zqfp.Numerics;
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
    /// <param name="measures">Whether the stage's layers are still to be quantized.</param>
    /// <param name="cancellation">Stops between two batches, or within one.</param>
    /// <returns>What the stage's layers read, or null where that is not measured.</returns>
    public StageInput? Run(CalibrationStage stage, bool measures, CancellationToken cancellation)
    {
        using Slice? slice = _kept.ContainsKey(stage.Input) ? null : Open(stage);
        using GramAccumulator? gram = measures ? new GramAccumulator(stage.Layers[0].InFeatures, threads) : null;
        ActivationMeter? meter = measures ? new ActivationMeter(stage.Layers[0].InFeatures) : null;
        Dictionary<string, OrtValue[]> made = stage.Keeps.ToDictionary(value => value, _ => new OrtValue[batches.Count], StringComparer.Ordinal);
        for (int i = 0; i < batches.Count; i++)
        {
            OrtValue[] outputs = slice?.Run(batches[i], value => _kept.GetValueOrDefault(value)?[i], feeds, cancellation) ?? [];
            OrtValue input = slice is null ? _kept[stage.Input][i] : outputs[slice.OutputNames.IndexOf(stage.Input)];
            if (gram is not null)
            {
                ReadOnlySpan<float> tokens = AsFloats(input);
                gram.Add(tokens);
                meter!.Add(tokens);
            }

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

        Keep(made, stage.Drops);
        return gram is null ? null : Measured(stage, gram, meter!);
    }

    public void Dispose()
    {
        foreach (OrtValue value in _kept.Values.SelectMany(values => values))
        {
            value.Dispose();
        }
    }

    private static StageInput Measured(CalibrationStage stage, GramAccumulator gram, ActivationMeter meter)
    {
        if (!meter.HasSeenAny)
        {
            return new StageInput(null, null);
        }

        try
        {
            Hessian hessian = gram.ToHessian();
            return new StageInput(hessian, meter.ToRange(hessian));
        }
        catch (ZqfpException e)
        {
            string more = stage.Layers.Count > 1 ? $" (and {stage.Layers.Count - 1} more that read '{stage.Input}')" : "";
            throw new ZqfpException(e.Code, $"Layer '{stage.Layers[0].DisplayName}'{more}: {e.Message}", e.File, e);
        }
    }

    private void Keep(Dictionary<string, OrtValue[]> made, IReadOnlyList<string> drops)
    {
        foreach ((string name, OrtValue[] values) in made)
        {
            _kept.Add(name, values);
        }

        foreach (string name in drops)
        {
            _kept.Remove(name, out OrtValue[]? values);
            Array.ForEach(values!, value => value.Dispose());
        }
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

    private static ReadOnlySpan<float> AsFloats(OrtValue value)
    {
        TensorElementType type = value.GetTensorTypeAndShape().ElementDataType;
        if (type == TensorElementType.Float)
        {
            return value.GetTensorDataAsSpan<float>();
        }

        if (type != TensorElementType.Float16)
        {
            throw new ZqfpException("ZQFP1012", $"A layer reads activations of type {type}; calibration knows float and float16. Export the model in one of these.");
        }

        ReadOnlySpan<Half> halves = MemoryMarshal.Cast<byte, Half>(value.GetTensorMutableRawData());
        float[] floats = new float[halves.Length];
        TensorPrimitives.ConvertToSingle(halves, floats);
        return floats;
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
