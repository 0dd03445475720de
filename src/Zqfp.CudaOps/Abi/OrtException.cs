namespace Zqfp.CudaOps;

/// <summary>An error of ONNX Runtime, or of finding it.</summary>
/// <param name="code">The diagnostic code, <c>ZQFP40nn</c>; each has a page in <c>docs/diagnostics</c>.</param>
/// <param name="message">What happened, where, and what to do; ends with ONNX Runtime's own words where it said something.</param>
public sealed class OrtException(string code, string message) : Exception(message)
{
    /// <summary>No library was found, or the one found could not be loaded.</summary>
    internal const string LibraryNotFound = "ZQFP4003";

    /// <summary>The library found is of a version this binding was not made for.</summary>
    internal const string VersionNotSupported = "ZQFP4004";

    /// <summary>ONNX Runtime refused a call: a model it cannot load, inputs that do not fit, a kernel that failed.</summary>
    internal const string CallFailed = "ZQFP4005";

    /// <summary>The diagnostic code, <c>ZQFP40nn</c>.</summary>
    public string Code { get; } = code;
}
