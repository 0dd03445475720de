using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>A string for the length of a call, null-terminated: UTF-8, or for a path on Windows UTF-16 as the C API wants it.</summary>
internal readonly unsafe ref struct NativeText
{
    private NativeText(nint text) => Pointer = (byte*)text;

    public byte* Pointer { get; }

    public static NativeText Utf8(string text) => new(Marshal.StringToCoTaskMemUTF8(text));

    public static NativeText Path(string path) =>
        new(OperatingSystem.IsWindows() ? Marshal.StringToCoTaskMemUni(path) : Marshal.StringToCoTaskMemUTF8(path));

    public void Dispose() => Marshal.FreeCoTaskMem((nint)Pointer);
}
