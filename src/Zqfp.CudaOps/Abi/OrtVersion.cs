using NuGet.Versioning;

namespace Zqfp.CudaOps;

/// <summary>Which versions of ONNX Runtime this binding works with.</summary>
internal static class OrtVersion
{
    /// <summary>From the first with 4-bit floating point tensors; the C API is append-only within a major version.</summary>
    public static readonly VersionRange Supported = VersionRange.Parse("[1.23.0, 2.0.0)");

    /// <summary>Whether the table of that version has the functions that came with 1.24.</summary>
    public static bool Has24(string version) =>
        NuGetVersion.TryParse(version, out NuGetVersion? parsed) && parsed.Version >= new Version(1, 24);

    /// <exception cref="ZqfpException">ZQFP4004: <paramref name="version"/> is not in <see cref="Supported"/>.</exception>
    public static void Check(string version)
    {
        if (!NuGetVersion.TryParse(version, out NuGetVersion? parsed) || !Supported.Satisfies(new NuGetVersion(parsed.Version)))
        {
            throw new ZqfpException(
                "ZQFP4004",
                $"The ONNX Runtime found is {version}; {Supported.PrettyPrint()} is needed. " +
                $"Put a newer library beside the application.");
        }
    }
}
