using System.Runtime.InteropServices;

namespace Zqfp.Quantization;

/// <summary>
/// The native library of the operators, which programs that are not .NET load: <c>zqfp_ops.so</c>, <c>.dll</c> or <c>.dylib</c>.
/// </summary>
internal static class OperatorLibrary
{
    /// <summary>The library's name on this system.</summary>
    public static string FileName { get; } = OperatingSystem.IsWindows()
        ? "zqfp_ops.dll"
        : OperatingSystem.IsMacOS() ? "zqfp_ops.dylib"
        : "zqfp_ops.so";

    /// <summary>The library's path.</summary>
    /// <param name="named">The one to use; null for the one beside this program.</param>
    /// <exception cref="ZqfpException">ZQFP0131: there is none.</exception>
    public static string Find(string? named)
    {
        if (named is not null)
        {
            return File.Exists(named) ? named : throw new ZqfpException(
                "ZQFP0131", "The operators' native library does not exist at the path that --operators-library names.", named);
        }

        return Candidates(AppContext.BaseDirectory).FirstOrDefault(File.Exists)
            ?? throw new ZqfpException(
                "ZQFP0131",
                $"The operators' native library, {FileName}, is not beside this program, and a GenAI folder of the profile custom needs "
                + "it. "
                + "Take it from the package Zqfp.CudaOps and name it by --operators-library, or use --profile stock.");
    }

    /// <summary>Where the library may be under a program's folder, in the order it is looked for.</summary>
    internal static IReadOnlyList<string> Candidates(string folder)
    {
        string system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
        string platform = $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
        return [Path.Combine(folder, FileName), Path.Combine(folder, "runtimes", platform, "native", FileName)];
    }
}
