using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps.Native;

/// <summary>What ONNX Runtime looks for in a library of custom operators.</summary>
public static unsafe class Exports
{
    private static readonly Lock Gate = new();

    // Sessions of a foreign program hold the operators, and nobody says when the last has gone: they are made once and stay for
    // the life of the process.
    private static OrtApi? _api;
    private static OperatorDomain? _domain;

    /// <summary><c>OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* api)</c>.</summary>
    /// <param name="options">The options the operators are added to.</param>
    /// <param name="apiBase">The ONNX Runtime that calls.</param>
    /// <returns>Null, or what went wrong; null also where ONNX Runtime is too old to be told, and then the operators are missing.</returns>
    [UnmanagedCallersOnly(EntryPoint = "RegisterCustomOps", CallConvs = [typeof(CallConvCdecl)])]
    public static nint RegisterCustomOps(nint options, nint apiBase)
    {
#pragma warning disable CA1031 // No exception may cross into native code.
        try
        {
            lock (Gate)
            {
                _api ??= OrtApi.FromBase((void*)apiBase);
                _domain ??= new OperatorDomain(_api, OperatorSets.WhatIsThere());
                _domain.AddTo(options);
            }
            return 0;
        }
        catch (Exception failure)
        {
            return _api is null ? 0 : (nint)_api.CreateStatus(OrtStatusCode.Fail, failure.Message);
        }
#pragma warning restore CA1031
    }
}
