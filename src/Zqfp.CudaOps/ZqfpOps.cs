using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>The operators as a native library, for programs whose ONNX Runtime is not driven by <c>Zqfp.OnnxRuntime</c>.</summary>
public static class ZqfpOps
{
    /// <summary>
    /// The library that exports <c>RegisterCustomOps</c>: to be given to ONNX Runtime's own bindings
    /// (<c>RegisterCustomOpLibraryV2</c>, <c>register_custom_ops_library</c>) or to
    /// <see cref="OrtSessionOptions.AddOperatorLibrary"/>.
    /// </summary>
    /// <exception cref="FileNotFoundException">It is neither in <c>runtimes/&lt;rid&gt;/native</c> beside the application nor in its folder.</exception>
    public static string LibraryPath
    {
        get
        {
            (string system, string extension) = OperatingSystem.IsWindows() ? ("win", "dll") : OperatingSystem.IsMacOS() ? ("osx", "dylib") : ("linux", "so");
            string file = "zqfp_ops." + extension;
            string platform = $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
            string[] places = [Path.Combine(AppContext.BaseDirectory, "runtimes", platform, "native", file), Path.Combine(AppContext.BaseDirectory, file)];
            return places.FirstOrDefault(File.Exists)
                ?? throw new FileNotFoundException($"ZQFP4007: the operators' native library is not beside the application: {string.Join("; ", places)}.", places[0]);
        }
    }
}
