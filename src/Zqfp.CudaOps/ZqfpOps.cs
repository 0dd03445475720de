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
    /// <exception cref="ZqfpException">
    /// ZQFP4007: it is neither in <c>runtimes/&lt;rid&gt;/native</c> beside the application nor in its folder.
    /// </exception>
    public static string LibraryPath => Find()
        ?? throw new ZqfpException(
            "ZQFP4007", $"The operators' native library is not beside the application: {string.Join("; ", Places)}.", Places[0]);

    /// <summary>The library's file name on this system.</summary>
    internal static string FileName { get; } = OperatingSystem.IsWindows()
        ? "zqfp_ops.dll"
        : OperatingSystem.IsMacOS() ? "zqfp_ops.dylib"
        : "zqfp_ops.so";

    private static string[] Places
    {
        get
        {
            string system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
            string platform = $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
            string folder = AppContext.BaseDirectory;
            return [Path.Combine(folder, "runtimes", platform, "native", FileName), Path.Combine(folder, FileName)];
        }
    }

    /// <summary>The library's path, or null where it is not beside the application.</summary>
    internal static string? Find() => Places.FirstOrDefault(File.Exists);
}
