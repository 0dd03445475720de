using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Evaluation;

/// <summary>
/// Starts ONNX Runtime: the library named in <c>ZQFP_ONNXRUNTIME</c>, else the one the package finds beside the application.
/// </summary>
internal static class RuntimeLibrary
{
    /// <summary>The environment variable that names a library file, before every other place.</summary>
    public const string PathVariable = "ZQFP_ONNXRUNTIME";

    // A process has one ONNX Runtime, and the choice can be made once only.
    private static readonly Lazy<OrtEnv> Environment = new(Create);

    /// <summary>ONNX Runtime's environment. It logs nothing: what fails is thrown, and said once.</summary>
    /// <exception cref="ZqfpException">ZQFP4003: no library was found, or it does not load. ZQFP4004: its version does not fit.</exception>
    public static OrtEnv Start() => Environment.Value;

    private static OrtEnv Create()
    {
        if (OrtEnv.IsCreated)
        {
            return OrtEnv.Instance(); // Whoever uses the package beside us has chosen.
        }

        string? named = System.Environment.GetEnvironmentVariable(PathVariable);
        if (!string.IsNullOrEmpty(named))
        {
            nint library = Load(Path.GetFullPath(named));
            OrtEnv.DisableDllImportResolver = true; // An assembly takes one resolver, and this is ours.
            NativeLibrary.SetDllImportResolver(
                typeof(SessionOptions).Assembly,
                (name, _, _) => name.Contains("onnxruntime", StringComparison.OrdinalIgnoreCase) ? library : 0);
        }

        try
        {
            var options = new EnvironmentCreationOptions { logId = "zqfp", logLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
            return OrtEnv.CreateInstanceWithOptions(ref options);
        }
        catch (TypeInitializationException e) when (e.InnerException is DllNotFoundException or BadImageFormatException
            or EntryPointNotFoundException)
        {
            throw NotFound(e.InnerException);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException)
        {
            throw NotFound(e);
        }
        catch (Exception e) when (e is TypeInitializationException or OnnxRuntimeException or NotSupportedException)
        {
            string why = (e.InnerException ?? e).Message;
            throw new ZqfpException("ZQFP4004",
                $"ONNX Runtime does not start: {why} Put a library of version 1.31 or later beside the application, or name one in "
                + $"{PathVariable}.", inner: e);
        }
    }

    private static nint Load(string path)
    {
        if (!File.Exists(path))
        {
            throw new ZqfpException("ZQFP4003",
                $"There is no ONNX Runtime library '{path}', which {PathVariable} (in a build: ZqfpOnnxRuntime) names. Correct the path.",
                path);
        }

        nint library;
        try
        {
            library = NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new ZqfpException("ZQFP4003",
                $"'{path}' does not load as a library of this platform ({RuntimeInformation.RuntimeIdentifier}): {e.Message}", path, e);
        }

        return NativeLibrary.TryGetExport(library, "OrtGetApiBase", out _)
            ? library
            : throw new ZqfpException("ZQFP4003", $"'{path}' is not ONNX Runtime: it does not export OrtGetApiBase.", path);
    }

    private static ZqfpException NotFound(Exception cause) => new(
        "ZQFP4003",
        $"ONNX Runtime's native library was not found or does not load on this platform ({RuntimeInformation.RuntimeIdentifier}): "
        + $"{cause.Message} "
        + "Reference the package Microsoft.ML.OnnxRuntime, put the library beside the application, or name it in the environment variable "
        + $"{PathVariable}.",
        inner: cause);
}
