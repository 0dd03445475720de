using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Zqfp.Numerics.Tests;

/// <summary>Float32 tensors of a safetensors file.</summary>
internal sealed class Safetensors
{
    private readonly byte[] _bytes;
    private readonly JsonElement _header;
    private readonly int _start;

    public Safetensors(string path)
    {
        _bytes = File.ReadAllBytes(path);
        _start = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(_bytes);
        _header = JsonDocument.Parse(_bytes.AsMemory(8, _start - 8)).RootElement;
    }

    public (float[] Values, int Rows, int Columns) this[string name]
    {
        get
        {
            JsonElement entry = _header.GetProperty(name);
            int[] shape = [.. entry.GetProperty("shape").EnumerateArray().Select(e => e.GetInt32())];
            int[] offsets = [.. entry.GetProperty("data_offsets").EnumerateArray().Select(e => e.GetInt32())];
            float[] values = MemoryMarshal.Cast<byte, float>(_bytes.AsSpan(_start + offsets[0], offsets[1] - offsets[0])).ToArray();
            return (values, shape[0], shape[1]);
        }
    }
}
