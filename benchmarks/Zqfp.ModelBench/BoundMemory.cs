using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Zqfp.CudaOps;

namespace Zqfp.ModelBench;

/// <summary>Memory that a run reads and writes in place: on the device, or on the host where there is none.</summary>
internal sealed unsafe class BoundMemory : IDisposable
{
    private readonly DeviceMemory? _device;
    private readonly void* _host;
    private readonly OrtMemoryInfo _info;

    public BoundMemory(CudaContext? context, long bytes)
    {
        Bytes = bytes;
        if (context is null)
        {
            _host = NativeMemory.AllocZeroed((nuint)bytes);
            _info = OrtMemoryInfo.DefaultInstance;
            return;
        }

        _device = new DeviceMemory(context, bytes);
        _device.Fill(0);
        context.Synchronize();
        _info = new OrtMemoryInfo("Cuda", OrtAllocatorType.DeviceAllocator, 0, OrtMemType.Default);
    }

    public long Bytes { get; }

    private nint Address => _device is null ? (nint)_host : (nint)_device.Address;

    /// <summary>A tensor at the start of the memory.</summary>
    public OrtValue Tensor(TensorElementType type, int elementBytes, params long[] shape) => OrtValue.CreateTensorValueWithData(
        _info, type, shape, Address, shape.Aggregate((long)elementBytes, (product, dim) => product * dim));

    public void Upload<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        if (_device is not null)
        {
            _device.Upload(values);
            return;
        }

        values.CopyTo(new Span<T>(_host, values.Length));
    }

    public T[] Download<T>(int count)
        where T : unmanaged
    {
        T[] values = new T[count];
        if (_device is not null)
        {
            _device.Download<T>(values);
        }
        else
        {
            new ReadOnlySpan<T>(_host, count).CopyTo(values);
        }

        return values;
    }

    public void Dispose()
    {
        _device?.Dispose();
        NativeMemory.Free(_host);
    }
}
