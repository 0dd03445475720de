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
        fixed (Sizes* sizes = &_sizes)
        {
            (ElementType, _rank) = api.Has24 ? ReadReference(api, value, (long*)sizes) : ReadInfo(api, value, (long*)sizes);
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

    /// <summary>Type and shape by one call, which allocates nothing.</summary>
    private static (OrtElementType Type, int Rank) ReadReference(OrtApi api, void* value, long* sizes)
    {
        int type;
        long* shape;
        nuint rank;
        api.Check(
            ((delegate* unmanaged[Cdecl]<void*, int*, long**, nuint*, void*>)api[OrtSlot.GetTensorElementTypeAndShapeDataReference])(
                value, &type, &shape, &rank),
            "reading a tensor's shape");
        new ReadOnlySpan<long>(shape, Known((int)rank)).CopyTo(new Span<long>(sizes, MaxRank));
        return ((OrtElementType)type, (int)rank);
    }

    /// <summary>Type and shape from a description, which the library makes for it.</summary>
    private static (OrtElementType Type, int Rank) ReadInfo(OrtApi api, void* value, long* sizes)
    {
        void* info;
        api.Check(((delegate* unmanaged[Cdecl]<void*, void**, void*>)api[OrtSlot.GetTensorTypeAndShape])(value, &info),
            "reading a tensor's shape");
        try
        {
            int rank = Known(OrtTensorInfo.Rank(api, info));
            api.Check(((delegate* unmanaged[Cdecl]<void*, long*, nuint, void*>)api[OrtSlot.GetDimensions])(info, sizes, (nuint)rank),
                "reading a tensor's shape");
            return (OrtTensorInfo.ElementType(api, info), rank);
        }
        finally
        {
            api.Release(OrtSlot.ReleaseTensorTypeAndShapeInfo, info);
        }
    }

    private static int Known(int rank) => rank <= MaxRank
        ? rank
        : throw new NotSupportedException($"A tensor of {rank} dimensions; at most {MaxRank} are supported.");

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
