using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>Where the native library may stand, by platform.</summary>
internal static class OrtLibraryLocations
{
    /// <summary>File names, the unversioned one first.</summary>
    public static IReadOnlyList<string> FileNames { get; } =
        OperatingSystem.IsWindows() ? ["onnxruntime.dll"]
        : OperatingSystem.IsMacOS() ? ["libonnxruntime.dylib", "libonnxruntime.1.dylib"]
        : ["libonnxruntime.so", "libonnxruntime.so.1"];

    /// <summary>The portable runtime identifier of this process, such as <c>linux-x64</c>.</summary>
    public static string RuntimeIdentifier
    {
        get
        {
            string system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
            return $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
        }
    }

    /// <summary>The files to look for beside the application, in order.</summary>
    public static IEnumerable<string> BesideApplication()
    {
        string[] folders = [Path.Combine(AppContext.BaseDirectory, "runtimes", RuntimeIdentifier, "native"), AppContext.BaseDirectory];
        return from folder in folders from name in FileNames select Path.Combine(folder, name);
    }
}
