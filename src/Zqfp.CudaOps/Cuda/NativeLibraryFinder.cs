using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>Loads a shared library by the first of several names the system's loader can resolve.</summary>
internal static class NativeLibraryFinder
{
    /// <summary>The library's handle, or 0 when none of the names resolves.</summary>
    public static nint Find(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out nint handle))
            {
                return handle;
            }
        }

        return 0;
    }
}
