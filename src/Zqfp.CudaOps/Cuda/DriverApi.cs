using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>The driver API's entry points, looked up by name once.</summary>
internal sealed unsafe class DriverApi
{
    private static readonly Lazy<DriverApi?> Loaded = new(TryLoad);

    public readonly delegate* unmanaged<uint, int> Init;
    public readonly delegate* unmanaged<int*, int> DriverGetVersion;
    public readonly delegate* unmanaged<int*, int> DeviceGetCount;
    public readonly delegate* unmanaged<int*, int, int> DeviceGet;
    public readonly delegate* unmanaged<byte*, int, int, int> DeviceGetName;
    public readonly delegate* unmanaged<int*, int, int, int> DeviceGetAttribute;
    public readonly delegate* unmanaged<nint*, int, int> PrimaryContextRetain;
    public readonly delegate* unmanaged<int, int> PrimaryContextRelease;
    public readonly delegate* unmanaged<nint, int> ContextSetCurrent;
    public readonly delegate* unmanaged<ulong*, nuint, int> MemoryAllocate;
    public readonly delegate* unmanaged<ulong, int> MemoryFree;
    public readonly delegate* unmanaged<ulong, void*, nuint, nint, int> CopyToDevice;
    public readonly delegate* unmanaged<void*, ulong, nuint, nint, int> CopyToHost;
    public readonly delegate* unmanaged<ulong, ulong, nuint, nint, int> CopyOnDevice;
    public readonly delegate* unmanaged<ulong, byte, nuint, nint, int> Fill;
    public readonly delegate* unmanaged<RowCopy*, nint, int> CopyRows;
    public readonly delegate* unmanaged<void*, nuint, uint, int> HostRegister;
    public readonly delegate* unmanaged<void*, int> HostUnregister;
    public readonly delegate* unmanaged<nuint*, nuint*, int> MemoryInfo;
    public readonly delegate* unmanaged<nint*, uint, int> StreamCreate;
    public readonly delegate* unmanaged<nint, int> StreamDestroy;
    public readonly delegate* unmanaged<nint, int> StreamSynchronize;
    public readonly delegate* unmanaged<nint, int, int> StreamBeginCapture;
    public readonly delegate* unmanaged<nint, nint*, int> StreamEndCapture;
    public readonly delegate* unmanaged<nint*, nint, ulong, int> GraphInstantiate;
    public readonly delegate* unmanaged<nint, nint, int> GraphLaunch;
    public readonly delegate* unmanaged<nint, int> GraphExecDestroy;
    public readonly delegate* unmanaged<nint, int> GraphDestroy;
    public readonly delegate* unmanaged<nint*, uint, int> EventCreate;
    public readonly delegate* unmanaged<nint, int> EventDestroy;
    public readonly delegate* unmanaged<nint, nint, int> EventRecord;
    public readonly delegate* unmanaged<nint, int> EventSynchronize;
    public readonly delegate* unmanaged<float*, nint, nint, int> EventElapsedTime;
    public readonly delegate* unmanaged<nint*, void*, int> ModuleLoadData;
    public readonly delegate* unmanaged<nint, int> ModuleUnload;
    public readonly delegate* unmanaged<nint*, nint, byte*, int> ModuleGetFunction;
    public readonly delegate* unmanaged<nint, int, int, int> FunctionSetAttribute;
    public readonly delegate* unmanaged<LaunchConfiguration*, nint, void**, void**, int> LaunchKernel;
    public readonly delegate* unmanaged<TensorMap*, int, uint, ulong, ulong*, ulong*, uint*, uint*, int, int, int,
        int, int> TensorMapEncodeTiled;
    private readonly delegate* unmanaged<int, byte**, int> _getErrorName;
    private readonly delegate* unmanaged<int, byte**, int> _getErrorString;

    /// <summary>Takes the functions from whoever knows them by name: the driver's library, or what stands in for it in a test.</summary>
    /// <param name="export">The address of a function; throws where there is none.</param>
    internal DriverApi(Func<string, nint> export)
    {
        nint Export(string name) => export(name);
        Init = (delegate* unmanaged<uint, int>)Export("cuInit");
        DriverGetVersion = (delegate* unmanaged<int*, int>)Export("cuDriverGetVersion");
        DeviceGetCount = (delegate* unmanaged<int*, int>)Export("cuDeviceGetCount");
        DeviceGet = (delegate* unmanaged<int*, int, int>)Export("cuDeviceGet");
        DeviceGetName = (delegate* unmanaged<byte*, int, int, int>)Export("cuDeviceGetName");
        DeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)Export("cuDeviceGetAttribute");
        PrimaryContextRetain = (delegate* unmanaged<nint*, int, int>)Export("cuDevicePrimaryCtxRetain");
        PrimaryContextRelease = (delegate* unmanaged<int, int>)Export("cuDevicePrimaryCtxRelease_v2");
        ContextSetCurrent = (delegate* unmanaged<nint, int>)Export("cuCtxSetCurrent");
        MemoryAllocate = (delegate* unmanaged<ulong*, nuint, int>)Export("cuMemAlloc_v2");
        MemoryFree = (delegate* unmanaged<ulong, int>)Export("cuMemFree_v2");
        CopyToDevice = (delegate* unmanaged<ulong, void*, nuint, nint, int>)Export("cuMemcpyHtoDAsync_v2");
        CopyToHost = (delegate* unmanaged<void*, ulong, nuint, nint, int>)Export("cuMemcpyDtoHAsync_v2");
        CopyOnDevice = (delegate* unmanaged<ulong, ulong, nuint, nint, int>)Export("cuMemcpyDtoDAsync_v2");
        Fill = (delegate* unmanaged<ulong, byte, nuint, nint, int>)Export("cuMemsetD8Async");
        CopyRows = (delegate* unmanaged<RowCopy*, nint, int>)Export("cuMemcpy2DAsync_v2");
        HostRegister = (delegate* unmanaged<void*, nuint, uint, int>)Export("cuMemHostRegister_v2");
        HostUnregister = (delegate* unmanaged<void*, int>)Export("cuMemHostUnregister");
        MemoryInfo = (delegate* unmanaged<nuint*, nuint*, int>)Export("cuMemGetInfo_v2");
        StreamCreate = (delegate* unmanaged<nint*, uint, int>)Export("cuStreamCreate");
        StreamDestroy = (delegate* unmanaged<nint, int>)Export("cuStreamDestroy_v2");
        StreamSynchronize = (delegate* unmanaged<nint, int>)Export("cuStreamSynchronize");
        StreamBeginCapture = (delegate* unmanaged<nint, int, int>)Export("cuStreamBeginCapture_v2");
        StreamEndCapture = (delegate* unmanaged<nint, nint*, int>)Export("cuStreamEndCapture");
        GraphInstantiate = (delegate* unmanaged<nint*, nint, ulong, int>)Export("cuGraphInstantiateWithFlags");
        GraphLaunch = (delegate* unmanaged<nint, nint, int>)Export("cuGraphLaunch");
        GraphExecDestroy = (delegate* unmanaged<nint, int>)Export("cuGraphExecDestroy");
        GraphDestroy = (delegate* unmanaged<nint, int>)Export("cuGraphDestroy");
        EventCreate = (delegate* unmanaged<nint*, uint, int>)Export("cuEventCreate");
        EventDestroy = (delegate* unmanaged<nint, int>)Export("cuEventDestroy_v2");
        EventRecord = (delegate* unmanaged<nint, nint, int>)Export("cuEventRecord");
        EventSynchronize = (delegate* unmanaged<nint, int>)Export("cuEventSynchronize");
        EventElapsedTime = (delegate* unmanaged<float*, nint, nint, int>)Export("cuEventElapsedTime");
        ModuleLoadData = (delegate* unmanaged<nint*, void*, int>)Export("cuModuleLoadData");
        ModuleUnload = (delegate* unmanaged<nint, int>)Export("cuModuleUnload");
        ModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Export("cuModuleGetFunction");
        FunctionSetAttribute = (delegate* unmanaged<nint, int, int, int>)Export("cuFuncSetAttribute");
        LaunchKernel = (delegate* unmanaged<LaunchConfiguration*, nint, void**, void**, int>)Export("cuLaunchKernelEx");
        TensorMapEncodeTiled =
            (delegate* unmanaged<TensorMap*, int, uint, ulong, ulong*, ulong*, uint*, uint*, int, int, int, int,
                int>)Export("cuTensorMapEncodeTiled");
        _getErrorName = (delegate* unmanaged<int, byte**, int>)Export("cuGetErrorName");
        _getErrorString = (delegate* unmanaged<int, byte**, int>)Export("cuGetErrorString");
    }

    /// <summary>Whether the driver library can be loaded and knows every call this project makes.</summary>
    public static bool IsAvailable => Loaded.Value is not null;

    /// <exception cref="ZqfpException">ZQFP4101: there is no driver library, or it is too old.</exception>
    public static DriverApi Instance => Loaded.Value ?? throw new ZqfpException("ZQFP4101",
        "the NVIDIA driver library libcuda.so.1 was not found, or it is older than CUDA 12. "
        + "Install a driver of version 525 or later, or run the operators on the CPU.");

    /// <summary>Throws when a driver call did not return success.</summary>
    /// <exception cref="ZqfpException">ZQFP4104.</exception>
    public void Check(int result, string what)
    {
        if (result == 0)
        {
            return;
        }

        byte* name = null;
        byte* text = null;
        _getErrorName(result, &name);
        _getErrorString(result, &text);
        throw new ZqfpException("ZQFP4104",
            $"{what} failed with {Marshal.PtrToStringUTF8((nint)name)} ({result}): {Marshal.PtrToStringUTF8((nint)text)}. "
            + "After a launch failure the process has to be restarted; out of memory, use a smaller batch.");
    }

    private static DriverApi? TryLoad()
    {
        nint library = NativeLibraryFinder.Find("libcuda.so.1", "nvcuda.dll");
        if (library == 0)
        {
            return null;
        }

        try
        {
            return new DriverApi(name => NativeLibrary.GetExport(library, name));
        }
        catch (EntryPointNotFoundException)
        {
            return null;
        }
    }
}

/// <summary>CUDA_MEMCPY2D: rows of bytes between host and device.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct RowCopy
{
    public const int Host = 1;
    public const int Device = 2;

    public nuint SourceX, SourceY;
    public int SourceType;
    public void* SourceHost;
    public ulong SourceDevice;
    public nint SourceArray;
    public nuint SourcePitch;
    public nuint TargetX, TargetY;
    public int TargetType;
    public void* TargetHost;
    public ulong TargetDevice;
    public nint TargetArray;
    public nuint TargetPitch;
    public nuint Width, Height;
}

/// <summary>CUlaunchConfig.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct LaunchConfiguration
{
    public uint GridX, GridY, GridZ, BlockX, BlockY, BlockZ, SharedBytes;
    public nint Stream;
    public LaunchAttribute* Attributes;
    public uint AttributeCount;
}

/// <summary>CUlaunchAttribute: a tag and a union of 64 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 72)]
internal struct LaunchAttribute
{
    public const int ClusterDimension = 4;
    public const int ProgrammaticStreamSerialization = 6;

    [FieldOffset(0)]
    public int Id;
    [FieldOffset(8)]
    public uint X;
    [FieldOffset(12)]
    public uint Y;
    [FieldOffset(16)]
    public uint Z;
}
