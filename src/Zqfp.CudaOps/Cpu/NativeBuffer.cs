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

    public NativeBuffer(long byteLength)
        : base(0, ownsHandle: true)
    {
        ByteLength = byteLength;
        nuint length = checked((nuint)Math.Max(byteLength, 1));
        bool large = OperatingSystem.IsLinux() && byteLength >= LargePage;
        void* memory = NativeMemory.AlignedAlloc(length, large ? (nuint)LargePage : Alignment);
        if (large)
        {
            // Advice: without it, or where the system has no such pages, the memory is as good and only slower.
            const int MadviseHugePage = 14;
            _ = Advise(memory, length, MadviseHugePage);
        }
        NativeMemory.Clear(memory, (nuint)byteLength);
        SetHandle((nint)memory);
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
        NativeMemory.AlignedFree((void*)handle);
        GC.RemoveMemoryPressure(Math.Max(ByteLength, 1));
        return true;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
