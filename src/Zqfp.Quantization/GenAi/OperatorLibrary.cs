using Zqfp.CudaOps;

namespace Zqfp.Quantization;

/// <summary>
/// The native library of the operators, which programs that are not .NET load: <c>zqfp_ops.so</c>, <c>.dll</c> or <c>.dylib</c>.
/// </summary>
internal static class OperatorLibrary
{
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

        return ZqfpOps.Find()
            ?? throw new ZqfpException(
                "ZQFP0131",
                $"The operators' native library, {ZqfpOps.FileName}, is not beside this program, and a GenAI folder of the profile "
                + "custom needs it. Take it from the package Zqfp.CudaOps and name it by --operators-library, or use --profile stock.");
    }
}
