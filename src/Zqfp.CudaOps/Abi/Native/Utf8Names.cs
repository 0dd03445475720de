using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>Names as null-terminated UTF-8 in native memory, so that a run passes pointers and encodes nothing.</summary>
internal sealed class Utf8Names : SafeHandle
{
    private readonly Dictionary<string, nint> _names = new(StringComparer.Ordinal);

    public Utf8Names(IEnumerable<string> names)
        : base(0, ownsHandle: true)
    {
        foreach (string name in names)
        {
            _names.TryAdd(name, 0);
            if (_names[name] == 0)
            {
                _names[name] = Marshal.StringToCoTaskMemUTF8(name);
            }
        }
        SetHandle(1);
    }

    public override bool IsInvalid => handle == 0;

    public bool TryGet(string name, out nint text) => _names.TryGetValue(name, out text);

    protected override bool ReleaseHandle()
    {
        foreach (nint text in _names.Values)
        {
            Marshal.FreeCoTaskMem(text);
        }
        return true;
    }
}
