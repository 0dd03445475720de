using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>A model or a slice of one, ready to run. Weights stay where they are: in the mapped file, or in memory.</summary>
internal sealed class ModelSession : IDisposable
{
    /// <summary>What ONNX Runtime calls the memory of a GPU.</summary>
    public const string GpuMemory = "Cuda";

    private readonly InferenceSession _session;
    private readonly string _name;
    private readonly MappedWeights? _weights;
    private readonly OnnxFile? _file;

    private ModelSession(InferenceSession session, string name, MappedWeights? weights = null, OnnxFile? file = null)
    {
        _session = session;
        _name = name;
        _weights = weights;
        _file = file;
        Inputs = ModelInput.Of(session);
    }

    /// <summary>The model's inputs.</summary>
    public IReadOnlyList<ModelInput> Inputs { get; }

    /// <summary>
    /// Opens a model file; one that computes in bfloat16, or has FP4 weights in standard operators, computes in float32 here, because the
    /// CPU has no kernels for them.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="options">How it runs, without operators.</param>
    /// <param name="device">Where it computes.</param>
    /// <exception cref="ZqfpException">ZQFP4nnn: ONNX Runtime, the device or the model cannot be loaded.</exception>
    public static ModelSession Open(ModelFacts model, SessionSettings options, ZqfpDevice device)
    {
        if (!model.IsRewritten)
        {
            string name = $"model '{model.Path}'";
            using SessionOptions native = options.Create(device);
            return new ModelSession(Load(name, () => new InferenceSession(model.Path, native)), name);
        }

        OnnxFile file = OnnxFile.Open(model.Path);
        try
        {
            SliceModel whole = new ModelRewriter(file, new GraphIndex(file.Graph, file.Path)).Whole();
            return Open(whole, options, device, $"model '{file.Path}'", file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Opens a slice, whose file must stay open as long.</summary>
    /// <exception cref="ZqfpException">ZQFP4nnn: ONNX Runtime or the slice cannot be loaded.</exception>
    public static ModelSession Open(SliceModel slice, SessionSettings options, ZqfpDevice device = ZqfpDevice.Cpu) =>
        Open(slice, options, device, "slice");

    /// <summary>Opens a part of a model, whose file must stay open as long unless it is given.</summary>
    /// <param name="model">The part.</param>
    /// <param name="options">How it runs, without operators.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="name">What errors call it.</param>
    /// <param name="file">The file, to be closed with the session; or null.</param>
    /// <exception cref="ZqfpException">ZQFP4nnn: ONNX Runtime, the device or the part cannot be loaded.</exception>
    public static ModelSession Open(SliceModel model, SessionSettings options, ZqfpDevice device, string name, OnnxFile? file = null)
    {
        using SessionOptions native = options.Create(device);
        var weights = new MappedWeights(native, model.Weights);
        try
        {
            return new ModelSession(Load(name, () => new InferenceSession(model.ToBytes(), native)), name, weights, file);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>The model's outputs.</summary>
    public IReadOnlyList<string> OutputNames => _session.OutputNames;

    /// <summary>Something to bind inputs and outputs to, which the caller disposes.</summary>
    public OrtIoBinding CreateBinding() => _session.CreateIoBinding();

    /// <summary>Element type and number of dimensions of an output, as ONNX Runtime infers them.</summary>
    public (TensorElementType Type, int Rank) Output(string name)
    {
        NodeMetadata output = _session.OutputMetadata[name];
        return (output.ElementDataType, output.Dimensions.Length);
    }

    /// <summary>Runs the model.</summary>
    /// <param name="inputs">A value for each of <see cref="Inputs"/>; they are only read.</param>
    /// <param name="outputs">Names of the outputs wanted.</param>
    /// <param name="cancellation">Ends a run that is under way at its next operator.</param>
    /// <returns>A value for each output, which the caller disposes.</returns>
    /// <exception cref="ZqfpException">ZQFP4005: an input does not fit the model, or an operator failed.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public OrtValue[] Run(IReadOnlyList<OrtValue> inputs, IReadOnlyList<string> outputs, CancellationToken cancellation) =>
        Run<OrtValue[]>(run => [.. _session.Run(run, _session.InputNames, inputs, outputs)], cancellation);

    /// <summary>Runs the model, and leaves what comes out on the GPU that it runs on.</summary>
    /// <param name="inputs">A value for each of <see cref="Inputs"/>; they are only read.</param>
    /// <param name="outputs">Names of the outputs wanted.</param>
    /// <param name="gpu">Number of the GPU.</param>
    /// <param name="cancellation">Ends a run that is under way at its next operator.</param>
    /// <returns>A value of the device for each output, finished, which the caller disposes.</returns>
    /// <exception cref="ZqfpException">As the other run.</exception>
    public IDisposableReadOnlyCollection<OrtValue> RunOnGpu(
        IReadOnlyList<OrtValue> inputs, IReadOnlyList<string> outputs, int gpu, CancellationToken cancellation)
    {
        using OrtIoBinding binding = _session.CreateIoBinding();
        using var place = new OrtMemoryInfo(GpuMemory, OrtAllocatorType.DeviceAllocator, gpu, OrtMemType.Default);
        return Run(
            run =>
            {
                for (int i = 0; i < inputs.Count; i++)
                {
                    binding.BindInput(_session.InputNames[i], inputs[i]);
                }

                foreach (string output in outputs)
                {
                    binding.BindOutputToDevice(output, place);
                }

                binding.SynchronizeBoundInputs();
                _session.RunWithBinding(run, binding);
                binding.SynchronizeBoundOutputs();
                return binding.GetOutputValues();
            },
            cancellation);
    }

    /// <summary>Runs the model on what is bound.</summary>
    /// <exception cref="ZqfpException">As the other run.</exception>
    public void Run(OrtIoBinding binding, CancellationToken cancellation) => Run(
        run =>
        {
            _session.RunWithBinding(run, binding);
            return true;
        },
        cancellation);

    private T Run<T>(Func<RunOptions, T> compute, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        using var run = new RunOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        using CancellationTokenRegistration registration = cancellation.Register(() => run.Terminate = true);
        try
        {
            return compute(run);
        }
        catch (OnnxRuntimeException e)
        {
            cancellation.ThrowIfCancellationRequested();
            throw Failed($"running the {_name}", e);
        }
    }

    /// <summary>Runs the model on token windows.</summary>
    /// <param name="feeds">Makes its inputs.</param>
    /// <param name="batch">The windows.</param>
    /// <param name="outputs">Names of the outputs wanted.</param>
    /// <param name="cancellation">Ends a run that is under way at its next operator.</param>
    /// <returns>A value for each output, which the caller disposes.</returns>
    /// <exception cref="ZqfpException">As the other run; ZQFP1005: an input is none that a decoder has.</exception>
    public OrtValue[] Run(TokenFeeds feeds, TokenBatch batch, IReadOnlyList<string> outputs, CancellationToken cancellation)
    {
        List<OrtValue> made = [];
        try
        {
            List<OrtValue> inputs = [];
            foreach (ModelInput input in Inputs)
            {
                OrtValue? kept = batch.Context?.Of(input.Name);
                if (kept is null)
                {
                    made.Add(feeds.Create(input, batch));
                }

                inputs.Add(kept ?? made[^1]);
            }

            return Run(inputs, outputs, cancellation);
        }
        finally
        {
            made.ForEach(input => input.Dispose());
        }
    }

    public void Dispose()
    {
        _session.Dispose();
        _weights?.Dispose();
        _file?.Dispose();
    }

    private static InferenceSession Load(string name, Func<InferenceSession> load)
    {
        try
        {
            return load();
        }
        catch (OnnxRuntimeException e)
        {
            throw Failed($"loading the {name}", e);
        }
    }

    private static ZqfpException Failed(string doing, OnnxRuntimeException e) =>
        new("ZQFP4005", $"ONNX Runtime {RuntimeLibrary.Start().GetVersionString()} failed at {doing}: {e.Message}", inner: e);
}
