using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>
/// A session whose inputs and outputs are FP8 or lie on the device, which the package's own makes no values of: C API calls on the
/// package's environment and options.
/// </summary>
internal sealed unsafe class RawSession : IDisposable
{
    // Positions in the OrtApi table, which is append-only.
    private const int CreateSessionFromArray = 8;
    private const int RunSession = 9;
    private const int CreateTensorWithDataAsOrtValue = 49;
    private const int CreateCpuMemoryInfo = 69;
    private const int ReleaseMemoryInfo = 94;
    private const int ReleaseSession = 95;
    private const int ReleaseValue = 96;

    private readonly CudaOps.OrtApi _api = LoadedOnnxRuntime.Find().Api;
    private readonly void* _session;
    private readonly void* _memory;

    public RawSession(byte[] model, OperatorDomain operators)
    {
        using SessionOptions options = new SessionOptions().Add(operators);
        void* session;
        void* memory;
        fixed (byte* bytes = model)
        {
            _api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*, nuint, void*, void**, void*>)_api[CreateSessionFromArray])(
                    (void*)OrtEnv.Instance().DangerousGetHandle(), bytes, (nuint)model.Length,
                    (void*)options.DangerousGetHandle(), &session),
                "loading a model");
        }

        _api.Check(((delegate* unmanaged[Cdecl]<int, int, void**, void*>)_api[CreateCpuMemoryInfo])(0, 0, &memory), "describing memory");
        _session = session;
        _memory = memory;
    }

    /// <summary>Runs the session over memory of the caller's, on the host or on the device.</summary>
    public void Run(IReadOnlyList<RawTensor> inputs, IReadOnlyList<RawTensor> outputs)
    {
        nint[] names = [.. inputs.Concat(outputs).Select(tensor => Marshal.StringToCoTaskMemUTF8(tensor.Name))];
        nint[] values = [.. inputs.Concat(outputs).Select(Wrap)];
        fixed (nint* name = names, value = values)
        {
            _api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*, nint*, nint*, nuint, nint*, nuint, nint*, void*>)_api[RunSession])(
                    _session, null, name, value, (nuint)inputs.Count, name + inputs.Count, (nuint)outputs.Count, value + inputs.Count),
                "running a model");
        }

        Array.ForEach(values, value => _api.Release(ReleaseValue, (void*)value));
        Array.ForEach(names, Marshal.FreeCoTaskMem);
    }

    public void Dispose()
    {
        _api.Release(ReleaseSession, _session);
        _api.Release(ReleaseMemoryInfo, _memory);
    }

    private nint Wrap(RawTensor tensor)
    {
        void* value;
        fixed (long* shape = tensor.Shape)
        {
            _api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*, nuint, long*, nuint, int, void**, void*>)_api[CreateTensorWithDataAsOrtValue])(
                    _memory, (void*)tensor.Address, (nuint)OrtElementTypes.ByteCount(tensor.Type, tensor.Shape),
                    shape, (nuint)tensor.Shape.Length, (int)tensor.Type, &value),
                $"wrapping '{tensor.Name}'");
        }

        return (nint)value;
    }
}

/// <summary>A tensor over memory of the caller's.</summary>
/// <param name="Name">The input's or output's name.</param>
/// <param name="Type">The element type.</param>
/// <param name="Shape">The dimensions.</param>
/// <param name="Address">The first byte.</param>
internal sealed record RawTensor(string Name, OrtElementType Type, long[] Shape, nint Address);
