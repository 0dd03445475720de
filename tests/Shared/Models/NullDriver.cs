using System.Runtime.InteropServices;
using Zqfp.CudaOps;

namespace Zqfp.Tests;

/// <summary>
/// A CUDA driver that does nothing and counts what it is asked for, so that the host's part of the GPU operators can be tested and timed
/// without a GPU. Addresses it hands out are never read.
/// </summary>
internal static unsafe class NullDriver
{
    private const int OutOfMemory = 2;

    private static readonly int[] Counts = new int[Enum.GetValues<Call>().Length];
    private static ulong _nextAddress = 1UL << 40;
    private static int _callsLeft = int.MaxValue;

    /// <summary>What is counted.</summary>
    public enum Call
    {
        Launch,
        Allocate,
        Free,
        Synchronize,
        LoadModule,
        EncodeMap,
    }

    /// <summary>Calls so far, of all threads.</summary>
    public static int Count(Call call) => Volatile.Read(ref Counts[(int)call]);

    /// <summary>How many allocations and copies to the device succeed from now on; those behind them fail.</summary>
    public static void LimitCalls(int count) => Volatile.Write(ref _callsLeft, count);

    /// <summary>A device that is an H100 by its numbers, whose kernels are empty.</summary>
    public static DeviceSession Session() => Session(_ => { });

    /// <summary>The same.</summary>
    /// <param name="compiling">Told the source of each kernel that is asked for.</param>
    /// <param name="isAmpere">Whether it is of compute capability 8.0 instead.</param>
    public static DeviceSession Session(Action<string> compiling, bool isAmpere = false) => new(() =>
    {
        var context = new CudaContext(new DriverApi(isAmpere ? AmpereFunction : Function), 0);
        return (context, new HopperKernels(context, (source, _) =>
        {
            compiling(source);
            return new CompiledKernel(ReadOnlyMemory<byte>.Empty, "", true, TimeSpan.Zero);
        }));
    });

    private static nint AmpereFunction(string name) => name == "cuDeviceGetAttribute"
        ? (nint)(delegate* unmanaged<int*, int, int, int>)&GetAmpereAttribute
        : Function(name);

    private static nint Function(string name) => name switch
    {
        "cuMemAlloc_v2" => (nint)(delegate* unmanaged<ulong*, nuint, int>)&Allocate,
        "cuMemcpyHtoDAsync_v2" => (nint)(delegate* unmanaged<ulong, void*, nuint, nint, int>)&CopyToDevice,
        "cuMemFree_v2" => (nint)(delegate* unmanaged<ulong, int>)&Free,
        "cuStreamSynchronize" => (nint)(delegate* unmanaged<nint, int>)&Synchronize,
        "cuModuleLoadData" => (nint)(delegate* unmanaged<nint*, void*, int>)&LoadModule,
        "cuLaunchKernelEx" => (nint)(delegate* unmanaged<void*, nint, void**, void**, int>)&Launch,
        "cuTensorMapEncodeTiled" =>
            (nint)(delegate* unmanaged<void*, int, uint, ulong, ulong*, ulong*, uint*, uint*, int, int, int, int, int>)&EncodeMap,
        _ => Answer(name),
    };

    /// <summary>A function of a driver of an H100 by its numbers, which does nothing else and counts nothing.</summary>
    public static nint Answer(string name) => name switch
    {
        "cuDeviceGetName" => (nint)(delegate* unmanaged<byte*, int, int, int>)&GetName,
        "cuDeviceGetAttribute" => (nint)(delegate* unmanaged<int*, int, int, int>)&GetAttribute,
        _ => (nint)(delegate* unmanaged<nint, nint, nint, nint, int>)&Succeed,
    };

    private static bool IsRefused() => Interlocked.Decrement(ref _callsLeft) < 0;

    private static int Counted(Call call)
    {
        Interlocked.Increment(ref Counts[(int)call]);
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int Succeed(nint first, nint second, nint third, nint fourth) => 0;

    [UnmanagedCallersOnly]
    private static int GetName(byte* name, int length, int device)
    {
        name[0] = 0;
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int GetAttribute(int* value, int id, int device)
    {
        *value = id switch { 16 => 132, 75 => 9, 76 => 0, 97 => 232448, _ => 0 };
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int GetAmpereAttribute(int* value, int id, int device)
    {
        *value = id switch { 16 => 108, 75 => 8, 97 => 166912, _ => 0 };
        return 0;
    }

    [UnmanagedCallersOnly]
    private static int Allocate(ulong* address, nuint bytes)
    {
        if (IsRefused())
        {
            return OutOfMemory;
        }

        *address = Interlocked.Add(ref _nextAddress, (bytes + 511) & ~255UL);
        return Counted(Call.Allocate);
    }

    [UnmanagedCallersOnly]
    private static int CopyToDevice(ulong target, void* source, nuint bytes, nint stream) => IsRefused() ? OutOfMemory : 0;

    [UnmanagedCallersOnly]
    private static int Free(ulong address) => Counted(Call.Free);

    [UnmanagedCallersOnly]
    private static int Synchronize(nint stream) => Counted(Call.Synchronize);

    [UnmanagedCallersOnly]
    private static int LoadModule(nint* module, void* image) => Counted(Call.LoadModule);

    [UnmanagedCallersOnly]
    private static int Launch(void* configuration, nint function, void** arguments, void** extra) => Counted(Call.Launch);

    [UnmanagedCallersOnly]
    private static int EncodeMap(void* map, int type, uint rank, ulong address, ulong* sizes, ulong* strides, uint* box, uint* steps,
        int interleave, int swizzle, int promotion, int fill) => Counted(Call.EncodeMap);
}
