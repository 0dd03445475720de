using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// An input or output of a kernel for the length of a call: nothing is allocated to make one. Constants may lie unaligned in a
/// mapped file.
/// </summary>
internal readonly unsafe ref struct OrtTensorView
{
    /// <summary>The most dimensions a tensor may have here.</summary>
    public const int MaxRank = 8;

    private readonly Sizes _sizes;
    private readonly int _rank;
    private readonly byte* _data;

    internal OrtTensorView(OrtApi api, void* value)
    {
        void* info;
        api.Check(((delegate* unmanaged[Cdecl]<void*, void**, void*>)api[OrtSlot.GetTensorTypeAndShape])(value, &info),
            "reading a tensor's shape");
        try
        {
            ElementType = OrtTensorInfo.ElementType(api, info);
            nuint rank;
            api.Check(((delegate* unmanaged[Cdecl]<void*, nuint*, void*>)api[OrtSlot.GetDimensionsCount])(info, &rank),
                "reading a tensor's rank");
            if (rank > MaxRank)
            {
                throw new NotSupportedException($"A tensor of {rank} dimensions; at most {MaxRank} are supported.");
            }
            _rank = (int)rank;
            fixed (Sizes* sizes = &_sizes)
            {
                api.Check(((delegate* unmanaged[Cdecl]<void*, long*, nuint, void*>)api[OrtSlot.GetDimensions])(info, (long*)sizes, rank),
                    "reading a tensor's shape");
            }
        }
        finally
        {
            api.Release(OrtSlot.ReleaseTensorTypeAndShapeInfo, info);
        }
        _data = Data(api, value);
        IsPresent = true;
    }

    /// <summary>A tensor whose type and shape the caller has just given: neither is asked for again.</summary>
    internal OrtTensorView(OrtApi api, void* value, OrtElementType type, scoped ReadOnlySpan<long> shape)
    {
        ElementType = type;
        _rank = shape.Length;
        fixed (Sizes* sizes = &_sizes)
        {
            shape.CopyTo(new Span<long>(sizes, MaxRank));
        }
        _data = Data(api, value);
        IsPresent = true;
    }

    /// <summary>False for an optional input that the node leaves out; then nothing else may be asked.</summary>
    public bool IsPresent { get; }

    /// <summary>The type of the elements.</summary>
    public OrtElementType ElementType { get; }

    /// <summary>The dimensions.</summary>
    [UnscopedRef]
    public ReadOnlySpan<long> Shape => MemoryMarshal.CreateReadOnlySpan(in Unsafe.As<Sizes, long>(ref Unsafe.AsRef(in _sizes)), _rank);

    /// <summary>The number of elements.</summary>
    public long ElementCount => OrtElementTypes.ElementCount(Shape);

    /// <summary>The first byte: host memory, or device memory in a GPU kernel.</summary>
    public nint DataPointer => (nint)_data;

    /// <summary>The elements of a host tensor.</summary>
    /// <exception cref="OverflowException">More than 2^31 - 1 elements of <typeparamref name="T"/>.</exception>
    public Span<T> AsSpan<T>()
        where T : unmanaged => new(_data, checked((int)(OrtElementTypes.ByteCount(ElementType, Shape) / sizeof(T))));

    private static byte* Data(OrtApi api, void* value)
    {
        void* data;
        api.Check(((delegate* unmanaged[Cdecl]<void*, void**, void*>)api[OrtSlot.GetTensorMutableData])(value, &data), "reading a tensor");
        return (byte*)data;
    }

    [InlineArray(MaxRank)]
    private struct Sizes
    {
        private long _first;
    }
}
