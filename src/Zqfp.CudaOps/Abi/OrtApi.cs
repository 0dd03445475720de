using System.Runtime.InteropServices;
using System.Text;

namespace Zqfp.CudaOps;

/// <summary>
/// The <c>OrtApi</c> function table of one loaded library, called by position. Every pointer handed out belongs to the
/// library; who creates an object releases it.
/// </summary>
internal sealed unsafe class OrtApi
{
    /// <summary>The table asked for: of 1.23, the first with 4-bit floating point tensors.</summary>
    public const uint Version = 23;

    private readonly void** _table;

    private OrtApi(void** table, string runtimeVersion)
    {
        _table = table;
        RuntimeVersion = runtimeVersion;
        Has24 = OrtVersion.Has24(runtimeVersion);
    }

    /// <summary>What the library says its version is, such as <c>1.30.0</c>.</summary>
    public string RuntimeVersion { get; }

    /// <summary>Whether functions that came with 1.24 may be called.</summary>
    public bool Has24 { get; }

    /// <summary>Reads the table from <c>OrtApiBase*</c>: { GetApi(uint), GetVersionString() }.</summary>
    /// <exception cref="ZqfpException">ZQFP4004: the library is older than <see cref="Version"/>.</exception>
    public static OrtApi FromBase(void* apiBase)
    {
        string version = VersionOf(apiBase);
        OrtVersion.Check(version);
        var getApi = (delegate* unmanaged[Cdecl]<uint, void*>)((void**)apiBase)[0];
        void** table = (void**)getApi(Version);
        return table is not null
            ? new OrtApi(table, version)
            : throw new ZqfpException("ZQFP4004", $"ONNX Runtime {version} does not offer version {Version} of its C API.");
    }

    /// <summary>The version of the library an <c>OrtApiBase*</c> belongs to.</summary>
    public static string VersionOf(void* apiBase) => Text(((delegate* unmanaged[Cdecl]<byte*>)((void**)apiBase)[1])());

    /// <summary>The function at a position, to be cast to its type.</summary>
    public void* this[int slot] => _table[slot];

    /// <summary>Throws what a status says, and releases it.</summary>
    /// <param name="status">Null means success.</param>
    /// <param name="doing">What was being done, for the message: "loading the model 'x.onnx'".</param>
    /// <exception cref="ZqfpException">ZQFP4005, when there is a status.</exception>
    public void Check(void* status, string doing)
    {
        if (status is null)
        {
            return;
        }
        string message = Text(((delegate* unmanaged[Cdecl]<void*, byte*>)this[OrtSlot.GetErrorMessage])(status));
        Release(OrtSlot.ReleaseStatus, status);
        throw new ZqfpException("ZQFP4005", $"ONNX Runtime {RuntimeVersion} failed at {doing}: {message}");
    }

    /// <summary>True for success; a failure is dropped.</summary>
    public bool Succeeded(void* status)
    {
        if (status is not null)
        {
            Release(OrtSlot.ReleaseStatus, status);
        }
        return status is null;
    }

    /// <summary>A new status to be returned to ONNX Runtime, which owns it; the message is copied.</summary>
    public void* CreateStatus(OrtStatusCode code, string message)
    {
        byte[] text = Encoding.UTF8.GetBytes(message + "\0");
        fixed (byte* bytes = text)
        {
            return ((delegate* unmanaged[Cdecl]<int, byte*, void*>)this[OrtSlot.CreateStatus])((int)code, bytes);
        }
    }

    public void Release(int releaseSlot, void* instance) => ((delegate* unmanaged[Cdecl]<void*, void>)this[releaseSlot])(instance);

    public static string Text(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";
}
