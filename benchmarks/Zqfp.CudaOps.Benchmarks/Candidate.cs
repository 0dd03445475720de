using Zqfp.Tests;

namespace Zqfp.Benchmarks;

/// <summary>A constant of a layer.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Fill">Writes its bytes.</param>
internal sealed record LayerConstant(string Name, int Type, long[] Shape, Action<Span<byte>> Fill);

/// <summary>A layer y{i} = x{i} W{i}^T.</summary>
/// <param name="Nodes">Its nodes.</param>
/// <param name="Constants">Their constants.</param>
internal sealed record Layer(byte[][] Nodes, LayerConstant[] Constants);

/// <summary>One way to compute X W^T.</summary>
/// <param name="Name">What the table calls it.</param>
/// <param name="BitsPerWeight">Bits that one product reads for each weight of an [n, k] matrix.</param>
/// <param name="MakeLayer">The layer of a number, for n and k.</param>
internal sealed record Candidate(string Name, Func<int, int, double> BitsPerWeight, Func<int, int, int, Layer> MakeLayer)
{
    private const int Group = 256;
    private const int Rank = 8;
    private const double GroupScaleBits = 32.0 / Group;

    /// <summary>The two that the others are compared with come first.</summary>
    public static IReadOnlyList<Candidate> All { get; } =
    [
        new("float32 MatMul", (_, _) => 32, Float),
        NBits(level: 4, block: 32),
        NBits(level: 4, block: 128),
        NBits(level: 0, block: 32),
        NBits(level: 1, block: 32),
        new("zqfp W4A8", (_, _) => 4 + GroupScaleBits, (i, n, k) => Quantized(OperatorNames.MatMulW4A8, i, n, k)),
        new("zqfp W4A8 rank 8", (n, k) => 4 + GroupScaleBits + (32.0 * Rank * (n + k) / n / k),
            (i, n, k) => Quantized(OperatorNames.MatMulW4A8, i, n, k, Rank)),
        new("zqfp W4A16", (_, _) => 4 + GroupScaleBits, (i, n, k) => Quantized(OperatorNames.MatMulW4A16, i, n, k)),
        new("zqfp W8A8", (_, _) => 8 + GroupScaleBits, (i, n, k) => Quantized(OperatorNames.MatMulW8A8, i, n, k)),
        new("zqfp W8A16", (_, _) => 8 + GroupScaleBits, (i, n, k) => Quantized(OperatorNames.MatMulW8A16, i, n, k)),
    ];

    private static Layer Float(int i, int n, int k) => new(
        [Onnx.Node("", "MatMul", [$"x{i}", $"w{i}"], [$"y{i}"])], [new($"w{i}", Onnx.Float, [k, n], RandomContent.Floats)]);

    private static Candidate NBits(int level, int block) => new(
        $"MatMulNBits level {level} block {block}", (_, _) => 4 + (32.0 / block), (i, n, k) => NBits(i, n, k, level, block));

    private static Layer NBits(int i, int n, int k, int level, int block) => new(
        [
            Onnx.Node("com.microsoft", "MatMulNBits", [$"x{i}", $"w{i}", $"s{i}"], [$"y{i}"], Onnx.Attribute("K", k),
                Onnx.Attribute("N", n),
                Onnx.Attribute("bits", 4), Onnx.Attribute("block_size", block), Onnx.Attribute("accuracy_level", level)),
        ],
        [
            new($"w{i}", Onnx.UInt8, [n, k / block, block / 2], RandomContent.Bytes),
            new($"s{i}", Onnx.Float, [n * (long)k / block], RandomContent.Floats),
        ]);

    private static Layer Quantized(string name, int i, int n, int k, int rank = 0)
    {
        bool quantizedActivations = name is not (OperatorNames.MatMulW4A16 or OperatorNames.MatMulW8A16);
        string[] tokens = quantizedActivations ? [$"xq{i}", $"sx{i}"] : [$"x{i}"];
        string[] factors = rank > 0 ? ["", $"a{i}", $"b{i}"] : [];
        long[] groups = [n, (k + Group - 1) / Group];
        byte[] product = Onnx.Node("zqfp", name, [.. tokens, $"w{i}", $"e{i}", $"s{i}", .. factors], [$"y{i}"],
            Onnx.Attribute("group_size", Group));
        return new(
            quantizedActivations ? [Onnx.Node("zqfp", OperatorNames.QuantizeTokens, [$"x{i}"], tokens), product] : [product],
            [
                name is OperatorNames.MatMulW8A8 or OperatorNames.MatMulW8A16
                    ? new($"w{i}", Onnx.Float8E4M3FN, [n, k], RandomContent.Fp8)
                    : new($"w{i}", Onnx.Float4E2M1, [n, k], RandomContent.Bytes),
                new($"e{i}", Onnx.UInt8, groups, RandomContent.Exponents),
                new($"s{i}", Onnx.Float, [n], RandomContent.Floats),
                .. rank == 0 ? (LayerConstant[])[] :
                [
                    new($"a{i}", Onnx.Float, [rank, k], RandomContent.Floats),
                    new($"b{i}", Onnx.Float, [n, rank], RandomContent.Floats),
                ],
            ]);
    }
}
