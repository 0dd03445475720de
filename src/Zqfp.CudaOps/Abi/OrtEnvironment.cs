
namespace Zqfp.CudaOps;

/// <summary>How much ONNX Runtime writes to standard error.</summary>
public enum OrtLogLevel
{
    /// <summary>Everything.</summary>
    Verbose = 0,

    /// <summary>What it does.</summary>
    Information = 1,

    /// <summary>What looks wrong.</summary>
    Warning = 2,

    /// <summary>What failed.</summary>
    Error = 3,

    /// <summary>Only what ends the process.</summary>
    Fatal = 4,
}

/// <summary>
/// ONNX Runtime's environment: what sessions share. May be used by any number of threads; sessions and values keep it alive
/// as long as they need it, whatever the order of disposal.
/// </summary>
public sealed unsafe class OrtEnvironment : IDisposable
{
    /// <summary>Makes an environment in the library that <see cref="OrtLibrary.Load()"/> finds.</summary>
    /// <exception cref="ZqfpException">ZQFP4003 or ZQFP4004, as <see cref="OrtLibrary.Load()"/> says.</exception>
    public OrtEnvironment(OrtLogLevel logLevel = OrtLogLevel.Error)
        : this(OrtLibrary.Load(), logLevel)
    {
    }

    /// <summary>Makes an environment in a given library.</summary>
    public OrtEnvironment(OrtLibrary library, OrtLogLevel logLevel = OrtLogLevel.Error)
    {
        ArgumentNullException.ThrowIfNull(library);
        Library = library;
        OrtApi api = library.Api;
        void* environment;
        fixed (byte* name = "zqfp\0"u8)
        {
            api.Check(
                ((delegate* unmanaged[Cdecl]<int, byte*, void**, void*>)api[OrtSlot.CreateEnv])((int)logLevel, name, &environment),
                "creating the environment");
        }
        Handle = new OrtHandle(api, OrtSlot.ReleaseEnv, environment);

        void* memory;
        const int DeviceAllocator = 0, DefaultMemory = 0;
        api.Check(
            ((delegate* unmanaged[Cdecl]<int, int, void**, void*>)api[OrtSlot.CreateCpuMemoryInfo])(DeviceAllocator, DefaultMemory, &memory),
            "describing CPU memory");
        CpuMemory = new OrtHandle(api, OrtSlot.ReleaseMemoryInfo, memory);
    }

    /// <summary>The library the environment lives in.</summary>
    public OrtLibrary Library { get; }

    internal OrtApi Api => Library.Api;

    internal OrtHandle Handle { get; }

    internal OrtHandle CpuMemory { get; }

    /// <summary>Gives the environment up; it goes once the last session and value built on it has gone.</summary>
    public void Dispose()
    {
        CpuMemory.Dispose();
        Handle.Dispose();
    }
}
