using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>
/// ONNX Runtime's native library, loaded. It stays loaded for the life of the process (its threads do not survive an
/// unloading), so there is nothing to dispose, and loading it again gives the same library.
/// </summary>
public sealed unsafe class OrtLibrary
{
    /// <summary>The environment variable that names a library file, before every other place.</summary>
    public const string PathVariable = "ZQFP_ONNXRUNTIME";

    private OrtLibrary(OrtApi api, string path)
    {
        Api = api;
        Path = path;
    }

    /// <summary>The library's own version, such as <c>1.30.0</c>.</summary>
    public string Version => Api.RuntimeVersion;

    /// <summary>The file it was loaded from; a bare name where the operating system's search path found it.</summary>
    public string Path { get; }

    internal OrtApi Api { get; }

    /// <summary>
    /// Loads the library from the first of: the file in <c>ZQFP_ONNXRUNTIME</c>; <c>runtimes/&lt;rid&gt;/native</c> beside the
    /// application, and the application's folder itself; the operating system's search path.
    /// </summary>
    /// <exception cref="ZqfpException">ZQFP4003: none was found, or the first found does not load. ZQFP4004: its version does not fit.</exception>
    public static OrtLibrary Load()
    {
        string? named = Environment.GetEnvironmentVariable(PathVariable);
        if (!string.IsNullOrEmpty(named))
        {
            return Load(named);
        }
        string? beside = OrtLibraryLocations.BesideApplication().FirstOrDefault(File.Exists);
        if (beside is not null)
        {
            return Load(beside);
        }
        foreach (string name in OrtLibraryLocations.FileNames)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
            {
                return Bind(library, name);
            }
        }
        throw new ZqfpException(
            "ZQFP4003",
            $"ONNX Runtime's native library was not found. Looked at: the environment variable {PathVariable} (not set); " +
            $"{string.Join("; ", OrtLibraryLocations.BesideApplication())}; the system's search path. " +
            $"Put the library in one of these places, or set {PathVariable} to its file.");
    }

    /// <summary>Loads one file.</summary>
    /// <param name="path">The library, such as <c>libonnxruntime.so.1</c>.</param>
    /// <exception cref="ZqfpException">ZQFP4003: it does not exist or does not load. ZQFP4004: its version does not fit.</exception>
    public static OrtLibrary Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string full = System.IO.Path.GetFullPath(path);
        if (!File.Exists(full))
        {
            throw new ZqfpException("ZQFP4003", $"There is no ONNX Runtime library '{full}'. Correct the path ({PathVariable} is one place it can come from).");
        }
        try
        {
            return Bind(NativeLibrary.Load(full), full);
        }
        catch (Exception failure) when (failure is DllNotFoundException or BadImageFormatException)
        {
            throw new ZqfpException("ZQFP4003", $"'{full}' does not load as a library of this platform ({RuntimeInformation.RuntimeIdentifier}): {failure.Message}");
        }
    }

    /// <summary>The library that is calling us, known by its <c>OrtApiBase*</c>: the way in for a native operator library.</summary>
    /// <param name="apiBase">The <c>OrtApiBase*</c> handed to <c>RegisterCustomOps</c>.</param>
    /// <exception cref="ZqfpException">ZQFP4004: its version does not fit.</exception>
    public static OrtLibrary FromApiBase(nint apiBase) => new(OrtApi.FromBase((void*)apiBase), "");

    /// <summary>The execution providers the library was built with, by ONNX Runtime's names, in its order of preference.</summary>
    /// <exception cref="ZqfpException">ZQFP4005: the library does not tell.</exception>
    public IReadOnlyList<string> Providers()
    {
        byte** names;
        int count;
        Api.Check(((delegate* unmanaged[Cdecl]<byte***, int*, void*>)Api[OrtSlot.GetAvailableProviders])(&names, &count), "listing execution providers");
        string[] providers = new string[count];
        for (int i = 0; i < count; i++)
        {
            providers[i] = OrtApi.Text(names[i]);
        }

        Api.Check(((delegate* unmanaged[Cdecl]<byte**, int, void*>)Api[OrtSlot.ReleaseAvailableProviders])(names, count), "releasing the list of execution providers");
        return providers;
    }

    /// <summary>An <c>OrtStatus*</c> to be returned to ONNX Runtime, which then owns it.</summary>
    /// <param name="message">What went wrong.</param>
    public nint CreateStatus(string message) => (nint)Api.CreateStatus(OrtStatusCode.Fail, message);

    private static OrtLibrary Bind(nint library, string path)
    {
        if (!NativeLibrary.TryGetExport(library, "OrtGetApiBase", out nint getApiBase))
        {
            throw new ZqfpException("ZQFP4003", $"'{path}' is not ONNX Runtime: it does not export OrtGetApiBase.");
        }
        return new OrtLibrary(OrtApi.FromBase(((delegate* unmanaged[Cdecl]<void*>)getApiBase)()), path);
    }
}
