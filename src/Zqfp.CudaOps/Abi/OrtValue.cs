using System.Buffers;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// A tensor in ONNX Runtime's hands: a shape, an element type, and memory it owns or borrows. Disposing twice is harmless;
/// spans taken from a value must not be used after it is disposed.
/// </summary>
public sealed unsafe class OrtValue : IDisposable
{
    private readonly long[] _shape;
    private readonly byte* _data;

    private OrtValue(OrtHandle handle, OrtElementType elementType, long[] shape, byte* data, long byteLength)
    {
        Handle = handle;
        ElementType = elementType;
        _shape = shape;
        _data = data;
        ByteLength = byteLength;
    }

    /// <summary>The type of the elements.</summary>
    public OrtElementType ElementType { get; }

    /// <summary>The dimensions; empty for a scalar, and any of them may be 0.</summary>
    public ReadOnlySpan<long> Shape => _shape;

    /// <summary>The number of elements.</summary>
    public long ElementCount => OrtElementTypes.ElementCount(_shape);

    /// <summary>The number of bytes; 4-bit elements lie two to a byte.</summary>
    public long ByteLength { get; }

    internal OrtHandle Handle { get; }

    /// <summary>A new tensor with memory of its own, whose content is not initialized.</summary>
    /// <exception cref="ZqfpException">ZQFP4005: the memory could not be had.</exception>
    public static OrtValue Allocate(OrtEnvironment environment, OrtElementType elementType, ReadOnlySpan<long> shape)
    {
        ArgumentNullException.ThrowIfNull(environment);
        _ = OrtElementTypes.ByteCount(elementType, shape);
        OrtApi api = environment.Api;
        void* value;
        fixed (long* dimensions = shape)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, long*, nuint, int, void**, void*>)api[OrtSlot.CreateTensorAsOrtValue])(
                    api.DefaultAllocator(), dimensions, (nuint)shape.Length, (int)elementType, &value),
                $"allocating a tensor of shape [{string.Join(", ", shape.ToArray())}]");
        }
        return Wrap(api, value, environment.Handle);
    }

    /// <summary>A new tensor that holds a copy of <paramref name="elements"/>.</summary>
    /// <typeparam name="T">A numeric type, <see cref="Half"/> for float16.</typeparam>
    /// <exception cref="ArgumentException">The number of elements is not the shape's.</exception>
    public static OrtValue Create<T>(OrtEnvironment environment, ReadOnlySpan<T> elements, ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        RequireCount(elements.Length, OrtElementTypes.ElementCount(shape), nameof(elements));
        OrtValue value = Allocate(environment, OrtElementTypes.Of<T>(), shape);
        MemoryMarshal.AsBytes(elements).CopyTo(value.AsBytes());
        return value;
    }

    /// <summary>A tensor over memory that stays where it is: nothing is copied.</summary>
    /// <param name="environment">The environment.</param>
    /// <param name="address">The first byte; need not be aligned.</param>
    /// <param name="byteLength">The bytes there, at least those the shape takes.</param>
    /// <param name="elementType">The type of the elements.</param>
    /// <param name="shape">The dimensions.</param>
    /// <param name="owner">
    /// What owns the memory, such as the handle of a memory-mapped view: it is kept from being released until this value, and
    /// every session that was given it as an initializer, is gone. Without an owner the caller sees to that.
    /// </param>
    /// <exception cref="ArgumentException">The memory is too short for the shape.</exception>
    public static OrtValue FromMemory(
        OrtEnvironment environment,
        nint address,
        long byteLength,
        OrtElementType elementType,
        ReadOnlySpan<long> shape,
        SafeHandle? owner = null)
    {
        ArgumentNullException.ThrowIfNull(environment);
        long needed = OrtElementTypes.ByteCount(elementType, shape);
        if (byteLength < needed)
        {
            throw new ArgumentException($"A tensor of {needed} bytes does not fit into {byteLength}.", nameof(byteLength));
        }
        OrtApi api = environment.Api;
        void* value;
        fixed (long* dimensions = shape)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<void*, void*, nuint, long*, nuint, int, void**, void*>)api[OrtSlot.CreateTensorWithDataAsOrtValue])(
                    environment.CpuMemory.Pointer, (void*)address, (nuint)needed, dimensions, (nuint)shape.Length, (int)elementType, &value),
                "wrapping memory as a tensor");
        }
        return owner is null ? Wrap(api, value, environment.Handle) : Wrap(api, value, environment.Handle, owner);
    }

    /// <summary>A tensor over managed memory, which is pinned until the value, and every session that uses it, is gone.</summary>
    /// <exception cref="ArgumentException">The memory is too short for the shape.</exception>
    public static OrtValue FromMemory<T>(OrtEnvironment environment, Memory<T> memory, OrtElementType elementType, ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        using var pin = new PinnedMemory(memory.Pin());
        return FromMemory(environment, pin.Address, (long)memory.Length * sizeof(T), elementType, shape, pin);
    }

    /// <summary>The elements, to read.</summary>
    /// <exception cref="InvalidOperationException"><typeparamref name="T"/> is not the element type.</exception>
    public ReadOnlySpan<T> AsReadOnlySpan<T>()
        where T : unmanaged => AsSpan<T>();

    /// <summary>The elements, to read and write.</summary>
    /// <exception cref="InvalidOperationException"><typeparamref name="T"/> is not the element type.</exception>
    public Span<T> AsSpan<T>()
        where T : unmanaged
    {
        if (OrtElementTypes.Of<T>() != ElementType)
        {
            throw new InvalidOperationException($"The tensor holds {ElementType}, not {typeof(T).Name}.");
        }
        return MemoryMarshal.Cast<byte, T>(AsBytes());
    }

    /// <summary>The tensor's bytes, whatever its element type.</summary>
    /// <exception cref="ObjectDisposedException">The value was disposed.</exception>
    /// <exception cref="OverflowException">The tensor is larger than 2 GiB; use <see cref="DataPointer"/>.</exception>
    public Span<byte> AsBytes() => new((void*)DataPointer, checked((int)ByteLength));

    /// <summary>The first byte, for tensors of any size.</summary>
    /// <exception cref="ObjectDisposedException">The value was disposed.</exception>
    public nint DataPointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(Handle.IsClosed, this);
            return (nint)_data;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Handle.Dispose();

    /// <summary>Takes an <c>OrtValue*</c> that holds a tensor.</summary>
    internal static OrtValue Wrap(OrtApi api, void* value, params SafeHandle[] foundations)
    {
        var handle = new OrtHandle(api, OrtSlot.ReleaseValue, value, foundations);
        try
        {
            (OrtElementType elementType, long[] shape) = OrtTensorInfo.OfValue(api, value);
            void* data;
            api.Check(((delegate* unmanaged[Cdecl]<void*, void**, void*>)api[OrtSlot.GetTensorMutableData])(value, &data), "reading a tensor");
            return new OrtValue(handle, elementType, shape, (byte*)data, OrtElementTypes.ByteCount(elementType, shape));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static void RequireCount(long given, long needed, string name)
    {
        if (given != needed)
        {
            throw new ArgumentException($"The shape takes {needed} elements, {given} were given.", name);
        }
    }

    /// <summary>A pin, as something a native object can rest on.</summary>
    private sealed class PinnedMemory : SafeHandle
    {
        private MemoryHandle _pin;

        public PinnedMemory(MemoryHandle pin)
            : base(-1, ownsHandle: true)
        {
            _pin = pin;
            SetHandle((nint)pin.Pointer);
        }

        public nint Address => handle;

        public override bool IsInvalid => false;

        protected override bool ReleaseHandle()
        {
            _pin.Dispose();
            return true;
        }
    }
}
