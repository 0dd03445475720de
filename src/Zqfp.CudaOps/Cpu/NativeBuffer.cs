using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>Memory outside the garbage collector's heap, aligned to a cache line, zero at first.</summary>
internal sealed unsafe partial class NativeBuffer : SafeHandle
{
    private const int Alignment = 64;

    /// <summary>
    /// Linux gives large pages to those who ask, from buffers of this size on; weights are then read with fewer misses of the TLB.
    /// </summary>
    private const long LargePage = 2 << 20;

    private readonly nint _mapped;

    public NativeBuffer(long byteLength)
        : base(0, ownsHandle: true)
    {
        ByteLength = byteLength;
        nuint length = checked((nuint)Math.Max(byteLength, 1));
        if (OperatingSystem.IsLinux() && byteLength >= LargePage)
        {
            SetHandle(MapLarge(length, out _mapped));
        }

        if (_mapped == 0)
        {
            void* memory = NativeMemory.AlignedAlloc(length, Alignment);
            NativeMemory.Clear(memory, length);
            SetHandle((nint)memory);
        }

        GC.AddMemoryPressure(Math.Max(byteLength, 1));
    }

    public long ByteLength { get; }

    public override bool IsInvalid => handle == 0;

    /// <summary>The first byte; valid while the buffer is reachable and not disposed.</summary>
    public byte* Bytes => (byte*)handle;

    /// <summary>The memory as numbers.</summary>
    public float* Floats => (float*)handle;

    protected override bool ReleaseHandle()
    {
        if (_mapped != 0)
        {
            _ = Unmap((void*)_mapped, Reserved((nuint)ByteLength));
        }
        else
        {
            NativeMemory.AlignedFree((void*)handle);
        }

        GC.RemoveMemoryPressure(Math.Max(ByteLength, 1));
        return true;
    }

    /// <summary>
    /// Memory of its own, that the system has back when the buffer goes: the allocator's heap would keep what lies below something that
    /// stays. It is zero. Returns 0 where the system gives none.
    /// </summary>
    private static nint MapLarge(nuint length, out nint mapped)
    {
        const int ReadWrite = 3, PrivateAnonymous = 0x22, HugePage = 14;
        mapped = (nint)Map(null, Reserved(length), ReadWrite, PrivateAnonymous, file: -1, offset: 0);
        if (mapped == -1)
        {
            mapped = 0;
            return 0;
        }

        nint start = (mapped + (nint)LargePage - 1) & -(nint)LargePage;

        // Advice: without it, or where the system has no such pages, the memory is as good and only slower.
        _ = Advise((void*)start, length, HugePage);
        return start;
    }

    /// <summary>Bytes of which the large pages of <paramref name="length"/> are a part, wherever they begin.</summary>
    private static nuint Reserved(nuint length) => checked(length + (nuint)LargePage);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* Map(void* address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
