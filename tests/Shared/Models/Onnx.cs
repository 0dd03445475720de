using System.Buffers.Binary;
using System.Text;

namespace Zqfp.Tests;

/// <summary>Just enough of the ONNX protobuf encoding to write small models in tests.</summary>
internal static class Onnx
{
    public const int Float = 1, UInt8 = 2, Int64 = 7, Float16 = 10, Float8E4M3FN = 17, UInt4 = 21, Float4E2M1 = 23;

    /// <summary>The element type of float or Half.</summary>
    public static int TypeOf<T>() => typeof(T) == typeof(Half) ? Float16 : Float;

    public static byte[] Model(
        byte[][] nodes, byte[][] inputs, byte[][] outputs, byte[][]? initializers = null, int opset = 21, int ir = 11,
        (string Key, string Value)[]? metadata = null)
    {
        byte[] graph =
        [
            .. nodes.SelectMany(node => Bytes(1, node)), .. Text(2, "graph"),
            .. (initializers ?? []).SelectMany(tensor => Bytes(5, tensor)),
            .. inputs.SelectMany(input => Bytes(11, input)), .. outputs.SelectMany(output => Bytes(12, output)),
        ];
        byte[] properties = [.. (metadata ?? []).SelectMany(pair => Bytes(14, [.. Text(1, pair.Key), .. Text(2, pair.Value)]))];
        return
        [
            .. Varint(1, ir), .. Bytes(8, [.. Text(1, ""), .. Varint(2, opset)]), .. Bytes(8, [.. Text(1, "zqfp"), .. Varint(2, 1)]),
            .. Bytes(8, [.. Text(1, "com.microsoft"), .. Varint(2, 1)]), .. Bytes(7, graph), .. properties,
        ];
    }

    public static byte[] Node(string domain, string type, string[] inputs, string[] outputs, params byte[][] attributes) =>
    [
        .. inputs.SelectMany(name => Text(1, name)), .. outputs.SelectMany(name => Text(2, name)), .. Text(3, $"{type}_of_{outputs[0]}"),
        .. Text(4, type),
        .. attributes.SelectMany(attribute => Bytes(5, attribute)), .. Text(7, domain),
    ];

    public static byte[] Attribute(string name, long value) => [.. Text(1, name), .. Varint(3, value), .. Varint(20, 2)];

    public static byte[] Attribute(string name, float value) => [.. Text(1, name), (2 << 3) | 5, .. Raw(value), .. Varint(20, 1)];

    public static byte[] Attribute(string name, string value) => [.. Text(1, name), .. Text(4, value), .. Varint(20, 3)];

    /// <summary>A value with dimensions given as numbers or, for symbols, as text.</summary>
    public static byte[] Value(string name, int type, params object[] dimensions)
    {
        byte[] shape =
        [
            .. dimensions.SelectMany(size => Bytes(1, size is string symbol ? Text(2, symbol) : Varint(1, Convert.ToInt64(size))))
        ];
        return [.. Text(1, name), .. Bytes(2, Bytes(1, [.. Varint(1, type), .. Bytes(2, shape)]))];
    }

    public static byte[] Tensor(string name, int type, long[] shape, byte[] data) =>
        [.. shape.SelectMany(size => Varint(1, size)), .. Varint(2, type), .. Text(8, name), .. Bytes(9, data)];

    public static byte[] ExternalTensor(string name, int type, long[] shape, string location, long length)
    {
        (string, string)[] entries = [("location", location), ("offset", "0"), ("length", $"{length}")];
        return
        [
            .. shape.SelectMany(size => Varint(1, size)), .. Varint(2, type), .. Text(8, name),
            .. entries.SelectMany(entry => Bytes(13, [.. Text(1, entry.Item1), .. Text(2, entry.Item2)])), .. Varint(14, 1),
        ];
    }

    public static byte[] Raw(params float[] values)
    {
        byte[] bytes = new byte[values.Length * 4];
        for (int i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4 * i), values[i]);
        }
        return bytes;
    }

    private static byte[] Text(int field, string text) => Bytes(field, Encoding.UTF8.GetBytes(text));

    private static byte[] Bytes(int field, byte[] content) =>
    [
        .. Number((ulong)(field << 3) | 2), .. Number((ulong)content.Length), .. content
    ];

    private static byte[] Varint(int field, long value) => [.. Number((ulong)(field << 3)), .. Number((ulong)value)];

    private static List<byte> Number(ulong value)
    {
        var bytes = new List<byte>();
        for (; value > 127; value >>= 7)
        {
            bytes.Add((byte)(value | 128));
        }
        bytes.Add((byte)value);
        return bytes;
    }
}
