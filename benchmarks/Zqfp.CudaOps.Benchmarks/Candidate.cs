using Zqfp.CudaOps;
using Zqfp.Tests;

namespace Zqfp.Benchmarks;

/// <summary>One way to compute X W^T, as a model with one layer's random weights.</summary>
internal sealed record Candidate(string Name, Func<Random, int, int, byte[]> Model, double BitsPerWeight)
{
    private const int Group = 256;

    public static IReadOnlyList<Candidate> All { get; } =
    [
        new("float32 MatMul", FloatModel, 32),
        new("MatMulNBits level 0", (random, n, k) => NBitsModel(random, n, k, 0), 4.5),
        new("MatMulNBits level 1", (random, n, k) => NBitsModel(random, n, k, 1), 4.5),
        new("MatMulNBits level 4", (random, n, k) => NBitsModel(random, n, k, 4), 4.5),
        new("zqfp W4A8", (random, n, k) => W4A8Model(random, n, k, 0), 4 + (32.0 / Group)),
        new("zqfp W4A8 rank 8", (random, n, k) => W4A8Model(random, n, k, 8), 4 + (32.0 / Group)),
        new("zqfp W4A16", W4A16Model, 4 + (32.0 / Group)),
        new("zqfp W8A8", W8A8Model, 8 + (32.0 / Group)),
    ];

    private static byte[] FloatModel(Random random, int n, int k) => Onnx.Model(
        [Onnx.Node("", "MatMul", ["x", "w"], ["y"])], [X(k)], [Y(n)], [Onnx.Tensor("w", Onnx.Float, [k, n], Floats(random, (long)n * k))]);

    private static byte[] NBitsModel(Random random, int n, int k, int level)
    {
        const int Block = 32;
        byte[] codes = new byte[n * (long)k / 2];
        random.NextBytes(codes);
        return Onnx.Model(
            [
                Onnx.Node("com.microsoft", "MatMulNBits", ["x", "w", "s"], ["y"], Onnx.Attribute("K", k), Onnx.Attribute("N", n), Onnx.Attribute("bits", 4),
                    Onnx.Attribute("block_size", Block), Onnx.Attribute("accuracy_level", level)),
            ],
            [X(k)],
            [Y(n)],
            [Onnx.Tensor("w", Onnx.UInt8, [n, k / Block, Block / 2], codes), Onnx.Tensor("s", Onnx.Float, [n * k / Block], Floats(random, n * (long)k / Block))]);
    }

    private static byte[] W4A8Model(Random random, int n, int k, int rank)
    {
        string[] factors = rank > 0 ? ["", "a", "b"] : [];
        byte[][] factorTensors = rank > 0
            ? [Onnx.Tensor("a", Onnx.Float, [rank, k], Floats(random, rank * k)), Onnx.Tensor("b", Onnx.Float, [n, rank], Floats(random, n * rank))]
            : [];
        return Onnx.Model(
            [
                Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x"], ["xq", "sx"]),
                Onnx.Node("zqfp", OperatorNames.MatMulW4A8, ["xq", "sx", "w", "e", "s", .. factors], ["y"], Onnx.Attribute("group_size", Group)),
            ],
            [X(k)],
            [Y(n)],
            [.. Fp4(random, n, k), .. factorTensors]);
    }

    private static byte[] W4A16Model(Random random, int n, int k) => Onnx.Model(
        [Onnx.Node("zqfp", OperatorNames.MatMulW4A16, ["x", "w", "e", "s"], ["y"], Onnx.Attribute("group_size", Group))], [X(k)], [Y(n)], Fp4(random, n, k));

    private static byte[] W8A8Model(Random random, int n, int k)
    {
        byte[] codes = new byte[n * (long)k];
        random.NextBytes(codes);
        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] &= 0xF7;
        }
        byte[][] tensors = Fp4(random, n, k);
        tensors[0] = Onnx.Tensor("w", Onnx.Float8E4M3FN, [n, k], codes);
        return Onnx.Model(
            [
                Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x"], ["xq", "sx"]),
                Onnx.Node("zqfp", OperatorNames.MatMulW8A8, ["xq", "sx", "w", "e", "s"], ["y"], Onnx.Attribute("group_size", Group)),
            ],
            [X(k)],
            [Y(n)],
            tensors);
    }

    private static byte[][] Fp4(Random random, int n, int k)
    {
        byte[] codes = new byte[n * (long)k / 2];
        random.NextBytes(codes);
        int groups = (k + Group - 1) / Group;
        byte[] exponents = [.. Enumerable.Range(0, n * groups).Select(_ => (byte)random.Next(5))];
        return
        [
            Onnx.Tensor("w", Onnx.Float4E2M1, [n, k], codes), Onnx.Tensor("e", Onnx.UInt8, [n, groups], exponents),
            Onnx.Tensor("s", Onnx.Float, [n], Floats(random, n)),
        ];
    }

    private static byte[] X(int k) => Onnx.Value("x", Onnx.Float, "m", k);

    private static byte[] Y(int n) => Onnx.Value("y", Onnx.Float, "m", n);

    private static byte[] Floats(Random random, long count)
    {
        float[] values = new float[count];
        for (long i = 0; i < count; i++)
        {
            values[i] = (float)(random.NextDouble() - 0.5);
        }
        return Onnx.Raw(values);
    }
}
