using System.Runtime.InteropServices;

namespace Zqfp.Numerics;

/// <summary>Zeroed float32 memory outside the managed heap, aligned to cache lines so that no 64-byte load straddles two.</summary>
internal sealed unsafe class AlignedBuffer : IDisposable
{
    private float* _data;

    public AlignedBuffer(long length)
    {
        Length = length;
        _data = (float*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, length) * sizeof(float), 64);
        Clear();
        GC.AddMemoryPressure(Bytes);
    }

    ~AlignedBuffer() => Release();

    public long Length { get; }

    public float* Data => _data;

    private long Bytes => Math.Max(1, Length) * sizeof(float);

    public void Clear() => NativeMemory.Clear(_data, (nuint)Length * sizeof(float));

    public Span<float> Slice(long start, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start + length, Length);
        return new Span<float>(_data + start, length);
    }

    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (_data is not null)
        {
            NativeMemory.AlignedFree(_data);
            _data = null;
            GC.RemoveMemoryPressure(Bytes);
        }
    }
}
