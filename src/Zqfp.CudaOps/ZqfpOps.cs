using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// The operators as a native library, for programs and libraries that drive ONNX Runtime themselves, such as ONNX Runtime GenAI.
/// </summary>
public static class ZqfpOps
{
    /// <summary>
    /// The library that exports <c>RegisterCustomOps</c>: to be given to <c>SessionOptions.RegisterCustomOpLibrary</c>, to
    /// <c>register_custom_ops_library</c> in other languages, or to GenAI as <c>custom_ops_library</c>.
    /// </summary>
    /// <exception cref="FileNotFoundException">
    /// It is neither in <c>runtimes/&lt;rid&gt;/native</c> beside the application nor in its folder.
    /// </exception>
    public static string LibraryPath
    {
        get
        {
            (string system, string extension) = OperatingSystem.IsWindows()
                ? ("win", "dll")
                : OperatingSystem.IsMacOS() ? ("osx", "dylib")
                : ("linux", "so");
            string file = "zqfp_ops." + extension;
            string platform = $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
            string[] places =
            [
                Path.Combine(AppContext.BaseDirectory, "runtimes", platform, "native", file), Path.Combine(AppContext.BaseDirectory, file)
            ];
            return places.FirstOrDefault(File.Exists)
                ?? throw new FileNotFoundException(
                    $"ZQFP4007: the operators' native library is not beside the application: {string.Join("; ", places)}.", places[0]);
        }
    }
}
