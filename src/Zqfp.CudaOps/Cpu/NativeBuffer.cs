using System.Runtime.InteropServices;

namespace Zqfp.CudaOps.Cpu;

/// <summary>Memory outside the garbage collector's heap, aligned to a cache line, zero at first.</summary>
internal sealed unsafe class NativeBuffer : SafeHandle
{
    private const int Alignment = 64;

    public NativeBuffer(long byteLength)
        : base(0, ownsHandle: true)
    {
        ByteLength = byteLength;
        void* memory = NativeMemory.AlignedAlloc(checked((nuint)Math.Max(byteLength, 1)), Alignment);
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
}
