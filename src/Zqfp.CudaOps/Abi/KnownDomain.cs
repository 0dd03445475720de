namespace Zqfp.CudaOps;

/// <summary>
/// Makes the operators' domain known to a loaded ONNX Runtime before any session of a user needs it. ONNX Runtime looks in a table of the
/// process whether a domain is there and adds it if not, without a lock around the two: of two sessions that are the first and are made at
/// the same moment, one fails.
/// </summary>
internal static unsafe class KnownDomain
{
    /// <summary><c>ORT_LOGGING_LEVEL_WARNING</c>, as ONNX Runtime has it by default.</summary>
    private const int Warnings = 2;

    private static readonly Lock OneAtATime = new();

    /// <summary>A graph that copies a value, about the smallest that a session loads: fields of <c>ModelProto</c>, one a line.</summary>
    private static ReadOnlySpan<byte> Model =>
    [
        0x08, 8, // ir_version
        0x42, 2, 0x10, 17, // opset_import: version
        0x3A, 43, // graph
        0x0A, 16, 0x0A, 1, (byte)'x', 0x12, 1, (byte)'y', // node: input, output,
        0x22, 8, (byte)'I', (byte)'d', (byte)'e', (byte)'n', (byte)'t', (byte)'i', (byte)'t', (byte)'y', // op_type
        0x12, 1, (byte)'g', // name
        0x5A, 9, 0x0A, 1, (byte)'x', 0x12, 4, 0x0A, 2, 0x08, 1, // input: name, a tensor of float32
        0x62, 9, 0x0A, 1, (byte)'y', 0x12, 4, 0x0A, 2, 0x08, 1, // output: name, a tensor of float32
    ];

    /// <summary>Makes a session with the domain, and lets it go.</summary>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses.</exception>
    public static void Announce(OrtApi api, OperatorDomain domain)
    {
        void* environment = null;
        void* options = null;
        void* session = null;
        using NativeText name = NativeText.Utf8(domain.Name);
        try
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<int, byte*, void**, void*>)api[OrtSlot.CreateEnv])(Warnings, name.Pointer, &environment),
                "starting");
            api.Check(((delegate* unmanaged[Cdecl]<void**, void*>)api[OrtSlot.CreateSessionOptions])(&options), "making session options");
            api.Check(((delegate* unmanaged[Cdecl]<void*, int, void*>)api[OrtSlot.SetIntraOpNumThreads])(options, 1), "limiting threads");
            domain.AddTo((nint)options);
            fixed (byte* model = Model)
            {
                lock (OneAtATime)
                {
                    // Where this runtime cannot load the model, the domain is known all the same: it is added before.
                    _ = api.Succeeded(
                        ((delegate* unmanaged[Cdecl]<void*, void*, nuint, void*, void**, void*>)api[OrtSlot.CreateSessionFromArray])(
                            environment, model, (nuint)Model.Length, options, &session));
                }
            }
        }
        finally
        {
            Release(api, OrtSlot.ReleaseSession, session);
            Release(api, OrtSlot.ReleaseSessionOptions, options);
            Release(api, OrtSlot.ReleaseEnv, environment);
        }
    }

    private static void Release(OrtApi api, int slot, void* instance)
    {
        if (instance is not null)
        {
            api.Release(slot, instance);
        }
    }
}
