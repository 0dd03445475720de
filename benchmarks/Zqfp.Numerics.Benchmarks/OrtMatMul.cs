using System.Text;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.Numerics.Benchmarks;

/// <summary>ONNX Runtime's own MatMul of two square float32 matrices: the yardstick.</summary>
internal sealed class OrtMatMul : IDisposable
{
    private readonly InferenceSession _session;
    private readonly OrtValue[] _inputs;

    public OrtMatMul(int size, int threads)
    {
        Size = size;
        _session = new InferenceSession(Model(size), new SessionOptions { IntraOpNumThreads = threads });
        _inputs = [Input(size, 1), Input(size, 2)];
    }

    public int Size { get; }

    /// <summary>2 n^3 floating-point operations.</summary>
    public double Operations => 2.0 * Size * Size * Size;

    public void Run()
    {
        using var options = new RunOptions();
        _session.Run(options, ["A", "B"], _inputs, ["C"]).Dispose();
    }

    public void Dispose()
    {
        foreach (OrtValue input in _inputs)
        {
            input.Dispose();
        }

        _session.Dispose();
    }

    private static OrtValue Input(int size, int seed) =>
        OrtValue.CreateTensorValueFromMemory<float>(SyntheticLayer.Uniform(size * size, seed), [size, size]);

    // A ModelProto of one node, C = MatMul(A, B), opset 13.
    private static byte[] Model(int size)
    {
        byte[] node = [.. Text(1, "A"), .. Text(1, "B"), .. Text(2, "C"), .. Text(4, "MatMul")];
        byte[] graph = [.. Message(1, node), .. Text(2, "g"), .. Message(11, Value("A", size)), .. Message(11, Value("B", size)),
            .. Message(12, Value("C", size))];
        return [.. Number(1, 8), .. Message(7, graph), .. Message(8, [.. Text(1, ""), .. Number(2, 13)])];
    }

    private static byte[] Value(string name, int size)
    {
        byte[] dimension = Message(1, Number(1, size));
        byte[] tensor = [.. Number(1, 1), .. Message(2, [.. dimension, .. dimension])];
        return [.. Text(1, name), .. Message(2, Message(1, tensor))];
    }

    private static byte[] Text(int field, string value) => Message(field, Encoding.UTF8.GetBytes(value));

    private static byte[] Message(int field, byte[] content) => [.. Varint((field << 3) | 2), .. Varint(content.Length), .. content];

    private static byte[] Number(int field, int value) => [.. Varint(field << 3), .. Varint(value)];

    private static byte[] Varint(int value)
    {
        var bytes = new List<byte>();
        for (; value >= 128; value >>= 7)
        {
            bytes.Add((byte)(value | 128));
        }

        bytes.Add((byte)value);
        return [.. bytes];
    }
}
