using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>The parameters of a launch, by value, in the kernel's order.</summary>
internal ref struct KernelArguments
{
    internal const int MaxCount = 16;
    private const int MaxBytes = 512;

    private ValueBuffer _values;
    private OffsetBuffer _offsets;
    private int _bytes;

    internal int Count { get; private set; }

    [UnscopedRef]
    internal ReadOnlySpan<byte> Values => MemoryMarshal.CreateReadOnlySpan(ref Unsafe.As<ValueBuffer, byte>(ref _values), MaxBytes);

    /// <summary>Appends a parameter, whose type has the kernel parameter's size and layout.</summary>
    /// <exception cref="ArgumentException">More than 16 parameters or 512 bytes.</exception>
    public void Add<T>(T value)
        where T : unmanaged
    {
        int size = Unsafe.SizeOf<T>();
        int offset = (_bytes + 7) & ~7;
        if (Count == MaxCount || offset + size > MaxBytes)
        {
            throw new ArgumentException("Too many kernel parameters.", nameof(value));
        }

        _offsets[Count++] = offset;
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref Unsafe.As<ValueBuffer, byte>(ref _values), offset), value);
        _bytes = offset + size;
    }

    internal readonly int Offset(int index) => _offsets[index];

    [InlineArray(MaxBytes)]
    private struct ValueBuffer
    {
        private byte _first;
    }

    [InlineArray(MaxCount)]
    private struct OffsetBuffer
    {
        private int _first;
    }
}
