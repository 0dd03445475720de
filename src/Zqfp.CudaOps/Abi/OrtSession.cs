
namespace Zqfp.CudaOps;

/// <summary>A model loaded and ready to run. Any number of threads may run it at once.</summary>
public sealed unsafe class OrtSession : IDisposable
{
    private readonly OrtEnvironment _environment;
    private readonly OrtHandle _handle;
    private readonly Utf8Names _names;
    private readonly string _label;

    private OrtSession(OrtEnvironment environment, OrtHandle handle, string label)
    {
        _environment = environment;
        _handle = handle;
        _label = label;
        Inputs = SessionDescription.Inputs(Api, handle.Pointer);
        Outputs = SessionDescription.Outputs(Api, handle.Pointer);
        Metadata = SessionDescription.Metadata(Api, handle.Pointer);
        _names = new Utf8Names(Inputs.Concat(Outputs).Select(info => info.Name));
    }

    /// <summary>The model's inputs, in its order.</summary>
    public IReadOnlyList<OrtValueInfo> Inputs { get; }

    /// <summary>The model's outputs, in its order.</summary>
    public IReadOnlyList<OrtValueInfo> Outputs { get; }

    /// <summary>The model's own key-value pairs (<c>metadata_props</c>).</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    private OrtApi Api => _environment.Api;

    /// <summary>Loads a model file; external data is found beside it.</summary>
    /// <exception cref="ZqfpException">ZQFP4005: the file cannot be loaded as a model.</exception>
    public static OrtSession Create(OrtEnvironment environment, string path, OrtSessionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(environment);
        ArgumentException.ThrowIfNullOrEmpty(path);
        OrtApi api = environment.Api;
        OrtSessionOptions used = options ?? new OrtSessionOptions();
        using OrtHandle native = NativeSessionOptions.Create(api, used);
        using NativeText text = NativeText.Path(path);
        void* session;
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, byte*, void*, void**, void*>)api[OrtSlot.CreateSession])(
                environment.Handle.Pointer, text.Pointer, native.Pointer, &session),
            $"loading the model '{path}'");
        return Describe(environment, session, used, $"model '{path}'");
    }

    /// <summary>
    /// Loads a model from memory, which is not needed afterwards. External data is found only through
    /// <see cref="OrtSessionOptions.AddExternalInitializers"/> or the entry <c>session.model_external_initializers_file_folder_path</c>.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP4005: the bytes cannot be loaded as a model.</exception>
    public static OrtSession Create(OrtEnvironment environment, ReadOnlySpan<byte> model, OrtSessionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(environment);
        OrtApi api = environment.Api;
        OrtSessionOptions used = options ?? new OrtSessionOptions();
        using OrtHandle native = NativeSessionOptions.Create(api, used);
        void* session;
        fixed (byte* bytes = model)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*, nuint, void*, void**, void*>)api[OrtSlot.CreateSessionFromArray])(
                    environment.Handle.Pointer, bytes, (nuint)model.Length, native.Pointer, &session),
                $"loading a model of {model.Length} bytes");
        }
        return Describe(environment, session, used, "model");
    }

    /// <summary>Runs the model.</summary>
    /// <param name="inputNames">Names of inputs.</param>
    /// <param name="inputs">A value for each; they are only read.</param>
    /// <param name="outputNames">Names of the outputs wanted.</param>
    /// <param name="cancellationToken">Ends a run that is under way at its next operator.</param>
    /// <returns>The outputs, in the order asked for; the caller disposes them.</returns>
    /// <exception cref="ArgumentException">A name is no input or output of the model, or the lists differ in length.</exception>
    /// <exception cref="ZqfpException">ZQFP4005: an input does not fit the model, or an operator failed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public OrtValue[] Run(
        IReadOnlyList<string> inputNames,
        IReadOnlyList<OrtValue> inputs,
        IReadOnlyList<string> outputNames,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(outputNames);
        nint* made = stackalloc nint[outputNames.Count];
        new Span<nint>(made, outputNames.Count).Clear();
        Run(inputNames, inputs, outputNames, made, cancellationToken);
        return Take(made, outputNames.Count);
    }

    /// <summary>Runs the model into tensors that are there already, of the shapes the outputs will have.</summary>
    /// <param name="inputNames">Names of inputs.</param>
    /// <param name="inputs">A value for each; they are only read.</param>
    /// <param name="outputNames">Names of the outputs wanted.</param>
    /// <param name="outputs">A value for each, to be written.</param>
    /// <param name="cancellationToken">Ends a run that is under way at its next operator.</param>
    /// <exception cref="ArgumentException">A name is no input or output of the model, or lists differ in length.</exception>
    /// <exception cref="ZqfpException">ZQFP4005: a value does not fit the model, or an operator failed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public void RunInto(
        IReadOnlyList<string> inputNames,
        IReadOnlyList<OrtValue> inputs,
        IReadOnlyList<string> outputNames,
        IReadOnlyList<OrtValue> outputs,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(outputNames);
        ArgumentNullException.ThrowIfNull(outputs);
        if (outputNames.Count != outputs.Count)
        {
            throw new ArgumentException($"{outputNames.Count} names were given with {outputs.Count} values.", nameof(outputs));
        }
        nint* given = stackalloc nint[outputs.Count];
        for (int i = 0; i < outputs.Count; i++)
        {
            given[i] = (nint)outputs[i].Handle.Pointer;
        }
        Run(inputNames, inputs, outputNames, given, cancellationToken);
        GC.KeepAlive(outputs);
    }

    private void Run(IReadOnlyList<string> inputNames, IReadOnlyList<OrtValue> inputs, IReadOnlyList<string> outputNames, nint* outputValues, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(inputNames);
        ArgumentNullException.ThrowIfNull(inputs);
        if (inputNames.Count != inputs.Count)
        {
            throw new ArgumentException($"{inputNames.Count} names were given with {inputs.Count} values.", nameof(inputs));
        }
        cancellationToken.ThrowIfCancellationRequested();

        nint* inputTexts = stackalloc nint[inputNames.Count];
        nint* inputValues = stackalloc nint[inputs.Count];
        nint* outputTexts = stackalloc nint[outputNames.Count];
        for (int i = 0; i < inputs.Count; i++)
        {
            inputTexts[i] = Name(inputNames[i], "input", Inputs);
            inputValues[i] = (nint)inputs[i].Handle.Pointer;
        }
        for (int i = 0; i < outputNames.Count; i++)
        {
            outputTexts[i] = Name(outputNames[i], "output", Outputs);
        }

        OrtApi api = Api;
        using OrtHandle? runOptions = cancellationToken.CanBeCanceled
            ? api.Create(OrtSlot.CreateRunOptions, OrtSlot.ReleaseRunOptions, "creating run options")
            : null;
        void* status;
        using (cancellationToken.Register(() => Terminate(runOptions)))
        {
            status = ((delegate* unmanaged[Cdecl]<void*, void*, nint*, nint*, nuint, nint*, nuint, nint*, void*>)api[OrtSlot.Run])(
                _handle.Pointer,
                runOptions is null ? null : runOptions.Pointer,
                inputTexts,
                inputValues,
                (nuint)inputs.Count,
                outputTexts,
                (nuint)outputNames.Count,
                outputValues);
        }
        GC.KeepAlive(inputs);
        if (status is not null && cancellationToken.IsCancellationRequested)
        {
            _ = api.Succeeded(status);
            throw new OperationCanceledException(cancellationToken);
        }
        api.Check(status, $"running the {_label}");
    }

    /// <summary>Gives the model up. A run under way in another thread must have ended.</summary>
    public void Dispose()
    {
        _handle.Dispose();
        _names.Dispose();
    }

    private static OrtSession Describe(OrtEnvironment environment, void* session, OrtSessionOptions options, string label)
    {
        var handle = new OrtHandle(
            environment.Api, OrtSlot.ReleaseSession, session, [environment.Handle, .. NativeSessionOptions.Foundations(options)]);
        try
        {
            return new OrtSession(environment, handle, label);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static void Terminate(OrtHandle? runOptions)
    {
        if (runOptions is not null)
        {
            runOptions.Api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*>)runOptions.Api[OrtSlot.RunOptionsSetTerminate])(runOptions.Pointer),
                "cancelling a run");
        }
    }

    private OrtValue[] Take(nint* values, int count)
    {
        var results = new OrtValue[count];
        int taken = 0;
        try
        {
            for (; taken < count; taken++)
            {
                results[taken] = OrtValue.Wrap(Api, (void*)values[taken], _environment.Handle);
            }
            return results;
        }
        catch
        {
            // The one that failed was released by Wrap.
            for (int i = 0; i < count; i++)
            {
                if (i < taken)
                {
                    results[i].Dispose();
                }
                else if (i > taken)
                {
                    Api.Release(OrtSlot.ReleaseValue, (void*)values[i]);
                }
            }
            throw;
        }
    }

    private nint Name(string name, string role, IReadOnlyList<OrtValueInfo> known)
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        return _names.TryGet(name, out nint text)
            ? text
            : throw new ArgumentException($"The {_label} has no {role} '{name}'; it has {string.Join(", ", known.Select(info => $"'{info.Name}'"))}.");
    }
}
