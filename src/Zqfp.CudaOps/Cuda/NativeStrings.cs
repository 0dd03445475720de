using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>Zero-terminated UTF-8 texts and arrays of them, freed together.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly List<nint> _allocations = [];

    public byte* Add(string text)
    {
        nint pointer = Marshal.StringToCoTaskMemUTF8(text);
        _allocations.Add(pointer);
        return (byte*)pointer;
    }

    public byte** Array(IEnumerable<string> texts)
    {
        string[] all = [.. texts];
        byte** array = (byte**)Marshal.AllocCoTaskMem(sizeof(byte*) * Math.Max(1, all.Length));
        _allocations.Add((nint)array);
        for (int i = 0; i < all.Length; i++)
        {
            array[i] = Add(all[i]);
        }

        return array;
    }

    public void Dispose()
    {
        foreach (nint pointer in _allocations)
        {
            Marshal.FreeCoTaskMem(pointer);
        }

        _allocations.Clear();
    }
}
