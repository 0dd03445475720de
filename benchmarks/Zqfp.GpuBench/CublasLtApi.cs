using System.Runtime.InteropServices;
using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>cuBLASLt's entry points, looked up by name once.</summary>
internal sealed unsafe class CublasLtApi
{
    private static readonly Lazy<CublasLtApi?> Loaded = new(TryLoad);

    public readonly delegate* unmanaged<nint*, int> Create;
    public readonly delegate* unmanaged<nint, int> Destroy;
    public readonly delegate* unmanaged<nuint> GetVersion;
    public readonly delegate* unmanaged<nint*, int, int, int> DescriptionCreate;
    public readonly delegate* unmanaged<nint, int> DescriptionDestroy;
    public readonly delegate* unmanaged<nint, int, void*, nuint, int> DescriptionSet;
    public readonly delegate* unmanaged<nint*, int, ulong, ulong, long, int> LayoutCreate;
    public readonly delegate* unmanaged<nint, int> LayoutDestroy;
    public readonly delegate* unmanaged<nint, int, void*, nuint, int> LayoutSet;
    public readonly delegate* unmanaged<nint*, int> PreferenceCreate;
    public readonly delegate* unmanaged<nint, int> PreferenceDestroy;
    public readonly delegate* unmanaged<nint, int, void*, nuint, int> PreferenceSet;
    public readonly delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, CublasLtHeuristic*, int*, int> Heuristic;
    public readonly delegate* unmanaged<nint, nint, void*, ulong, nint, ulong, nint, void*, ulong, nint, ulong,
        nint, void*, ulong, nuint, nint, int> MatMul;

    private CublasLtApi(nint library)
    {
        nint Export(string name) => NativeLibrary.GetExport(library, name);
        Create = (delegate* unmanaged<nint*, int>)Export("cublasLtCreate");
        Destroy = (delegate* unmanaged<nint, int>)Export("cublasLtDestroy");
        GetVersion = (delegate* unmanaged<nuint>)Export("cublasLtGetVersion");
        DescriptionCreate = (delegate* unmanaged<nint*, int, int, int>)Export("cublasLtMatmulDescCreate");
        DescriptionDestroy = (delegate* unmanaged<nint, int>)Export("cublasLtMatmulDescDestroy");
        DescriptionSet = (delegate* unmanaged<nint, int, void*, nuint, int>)Export("cublasLtMatmulDescSetAttribute");
        LayoutCreate = (delegate* unmanaged<nint*, int, ulong, ulong, long, int>)Export("cublasLtMatrixLayoutCreate");
        LayoutDestroy = (delegate* unmanaged<nint, int>)Export("cublasLtMatrixLayoutDestroy");
        LayoutSet = (delegate* unmanaged<nint, int, void*, nuint, int>)Export("cublasLtMatrixLayoutSetAttribute");
        PreferenceCreate = (delegate* unmanaged<nint*, int>)Export("cublasLtMatmulPreferenceCreate");
        PreferenceDestroy = (delegate* unmanaged<nint, int>)Export("cublasLtMatmulPreferenceDestroy");
        PreferenceSet = (delegate* unmanaged<nint, int, void*, nuint, int>)Export("cublasLtMatmulPreferenceSetAttribute");
        Heuristic = (delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, CublasLtHeuristic*, int*,
            int>)Export("cublasLtMatmulAlgoGetHeuristic");
        MatMul =
            (delegate* unmanaged<nint, nint, void*, ulong, nint, ulong, nint, void*, ulong, nint, ulong, nint,
                void*, ulong, nuint, nint, int>)Export("cublasLtMatmul");
    }

    /// <summary>Whether the library can be loaded.</summary>
    public static bool IsAvailable => Loaded.Value is not null;

    /// <exception cref="CublasLtException">The library was not found.</exception>
    public static CublasLtApi Instance => Loaded.Value ?? throw new CublasLtException(
        "cuBLASLt was not found (looked for libcublasLt.so.13, libcublasLt.so.12 and libcublasLt.so).");

    /// <summary>Throws when a call did not return success.</summary>
    /// <exception cref="CublasLtException">The call failed.</exception>
    public static void Check(int result, string what)
    {
        if (result != 0)
        {
            throw new CublasLtException(
                $"{what} failed in cuBLASLt with status {result}. Row-wise FP8 scales need cuBLASLt 12.9 or later.");
        }
    }

    private static CublasLtApi? TryLoad()
    {
        nint library = NativeLibraryFinder.Find("libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so", "cublasLt64_13.dll",
            "cublasLt64_12.dll");
        if (library == 0)
        {
            return null;
        }

        try
        {
            return new CublasLtApi(library);
        }
        catch (EntryPointNotFoundException)
        {
            return null;
        }
    }
}

/// <summary>The library is not there, or refuses.</summary>
internal sealed class CublasLtException(string message) : Exception(message);

/// <summary>cublasLtMatmulHeuristicResult_t: an opaque algorithm and what is known of it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CublasLtHeuristic
{
    public fixed ulong Algorithm[8];
    public nuint Workspace;
    public int State;
    public float Waves;
    public fixed int Reserved[4];
}
