using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps;

/// <summary>
/// The C API of the ONNX Runtime that the package Microsoft.ML.OnnxRuntime calls. Which file that is follows from the package's own
/// rules, a resolver of the application's, or <c>ZQFP_ONNXRUNTIME</c>; so the library is not looked for again but found among the
/// modules of this process, where the package has loaded it.
/// </summary>
/// <param name="Api">Its function table.</param>
/// <param name="Path">The file it was loaded from.</param>
internal sealed unsafe record LoadedOnnxRuntime(OrtApi Api, string Path)
{
    // A process has one, and looking for it reads the list of all modules: calibration makes a session for each slice.
    private static readonly Lazy<LoadedOnnxRuntime> Found = new(Search);

    /// <summary>Finds it; the package loads it first where nothing of it has run yet.</summary>
    /// <exception cref="ZqfpException">ZQFP4003: it is not among the modules. ZQFP4004: its version does not fit.</exception>
    public static LoadedOnnxRuntime Find() => Found.Value;

    private static LoadedOnnxRuntime Search()
    {
        string version = OrtEnv.Instance().GetVersionString();
        using var process = Process.GetCurrentProcess();
        foreach (string path in process.Modules.Cast<ProcessModule>().Select(module => module.FileName))
        {
            if (System.IO.Path.GetFileName(path).Contains("onnxruntime", StringComparison.OrdinalIgnoreCase)
                && NativeLibrary.TryLoad(path, out nint library)
                && NativeLibrary.TryGetExport(library, "OrtGetApiBase", out nint getApiBase))
            {
                void* apiBase = ((delegate* unmanaged[Cdecl]<void*>)getApiBase)();
                if (OrtApi.VersionOf(apiBase) == version)
                {
                    return new LoadedOnnxRuntime(OrtApi.FromBase(apiBase), path);
                }
            }
        }

        throw new ZqfpException("ZQFP4003",
            $"ONNX Runtime {version} runs in this process, but none of its modules exports OrtGetApiBase: it is linked into the "
            + "application. Load it as a library.");
    }
}
