using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;
using OrtApi = Zqfp.CudaOps.OrtApi;

namespace Zqfp.Evaluation;

/// <summary>
/// Gives a session its initializers where they lie, in a mapped file or in memory, whatever their element type. The package makes no
/// values of FP8, FP4 and 4-bit integers and lacks <c>AddExternalInitializers</c>, so both go to the C API. Dispose after the session.
/// </summary>
internal sealed unsafe class MappedWeights : IDisposable
{
    // Positions in the OrtApi table, which is append-only.
    private const int CreateTensorWithDataAsOrtValue = 49;
    private const int CreateCpuMemoryInfo = 69;
    private const int ReleaseMemoryInfo = 94;
    private const int ReleaseValue = 96;
    private const int AddInitializer = 150;
    private const int AddExternalInitializers = 210;

    private const int Chunk = 1 << 24;

    private readonly OrtApi _api;
    private readonly void* _memory;
    private readonly List<nint> _names = [];
    private readonly List<nint> _values = [];
    private readonly List<MemoryHandle> _pins = [];
    private readonly List<NativeBuffer> _copies = [];

    /// <summary>Adds the weights to the options of one session.</summary>
    /// <exception cref="ZqfpException">ZQFP4005: ONNX Runtime refuses one.</exception>
    public MappedWeights(SessionOptions options, IReadOnlyDictionary<string, TensorData> weights)
    {
        _api = LoadedOnnxRuntime.Find().Api;
        void* memory;
        const int DeviceAllocator = 0, DefaultMemory = 0;
        _api.Check(((delegate* unmanaged[Cdecl]<int, int, void**, void*>)_api[CreateCpuMemoryInfo])(
            DeviceAllocator, DefaultMemory, &memory), "describing CPU memory");
        _memory = memory;
        try
        {
            foreach ((string name, TensorData data) in weights)
            {
                _names.Add(Marshal.StringToCoTaskMemUTF8(name));
                _values.Add(Wrap(name, data));
            }

            Add((void*)options.DangerousGetHandle());
            GC.KeepAlive(options);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _values.ForEach(value => _api.Release(ReleaseValue, (void*)value));
        _names.ForEach(Marshal.FreeCoTaskMem);
        _pins.ForEach(pin => pin.Dispose());
        _copies.ForEach(copy => copy.Dispose());
        _api.Release(ReleaseMemoryInfo, _memory);
    }

    /// <summary>
    /// Twice on purpose: as an external initializer the value is the content the graph is checked and rewritten with (a copy that goes
    /// when loading ends); as a shared one the session then reads it where it lies.
    /// </summary>
    private void Add(void* options)
    {
        for (int i = 0; i < _names.Count; i++)
        {
            _api.Check(((delegate* unmanaged[Cdecl]<void*, nint, nint, void*>)_api[AddInitializer])(options, _names[i], _values[i]),
                "giving a shared initializer");
        }

        fixed (nint* names = CollectionsMarshal.AsSpan(_names), values = CollectionsMarshal.AsSpan(_values))
        {
            _api.Check(
                ((delegate* unmanaged[Cdecl]<void*, nint*, nint*, nuint, void*>)_api[AddExternalInitializers])(
                    options, names, values, (nuint)_names.Count),
                "giving external initializers");
        }
    }

    private nint Wrap(string name, TensorData data)
    {
        long[] shape = [.. data.Dims];
        void* value;
        fixed (long* dimensions = shape)
        {
            _api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*, nuint, long*, nuint, int, void**, void*>)_api[CreateTensorWithDataAsOrtValue])(
                    _memory, (void*)AddressOf(data), (nuint)data.ByteLength, dimensions, (nuint)shape.Length, (int)data.Type, &value),
                $"wrapping '{name}' as a tensor");
        }

        return (nint)value;
    }

    private nint AddressOf(TensorData data)
    {
        if (data.Address is { } mapped)
        {
            return mapped;
        }

        if (data.ByteLength > int.MaxValue)
        {
            return Copy(data);
        }

        MemoryHandle pin = data.Slice(0, (int)data.ByteLength).Pin();
        _pins.Add(pin);
        return (nint)pin.Pointer;
    }

    /// <summary>What is put together from many parts, such as the codes of all experts, and longer than an array.</summary>
    private nint Copy(TensorData data)
    {
        var buffer = new NativeBuffer(data.ByteLength);
        _copies.Add(buffer);
        for (long done = 0; done < data.ByteLength; done += Chunk)
        {
            int count = (int)Math.Min(Chunk, data.ByteLength - done);
            data.Read(done, new Span<byte>(buffer.Bytes + done, count));
        }

        return (nint)buffer.Bytes;
    }
}
