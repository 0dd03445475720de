using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

/// <summary>Operators that take A x while they quantize, and products that read it.</summary>
public sealed class TokenProjectionTests
{
    private const int Rank = 16;

    [Theory]
    [InlineData(OperatorNames.QuantizeTokens, OperatorNames.MatMulW4A8, 1, 256)]
    [InlineData(OperatorNames.QuantizeTokens, OperatorNames.MatMulW4A8Scaled, 7, 88)]
    [InlineData(OperatorNames.QuantizeTokens, OperatorNames.MatMulW8A8, 40, 1320)]
    [InlineData(OperatorNames.NormQuantizeTokens, OperatorNames.MatMulW4A8, 5, 264)]
    [InlineData(OperatorNames.GateQuantizeTokens, OperatorNames.MatMulW4A8, 3, 512)]
    public void A_product_that_reads_projections_gives_the_bits_of_one_that_takes_them(
        string quantize, string product, int tokens, int columns)
    {
        (float[] inside, _) = Run(Model(quantize, product, columns, projects: false, Rank), tokens, columns);
        (float[] outside, float[] projections) = Run(Model(quantize, product, columns, projects: true, Rank), tokens, columns);
        Assert.Equal(inside, outside);
        Assert.Contains(projections, value => value != 0);
    }

    [Fact]
    public void Projections_are_those_of_the_codes()
    {
        const int Tokens = 3, Columns = 75;
        byte[] model = Onnx.Model(
            [
                Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x", "a"], ["q", "s", "z"]),
                Onnx.Node("", "Cast", ["q"], ["values"], Onnx.Attribute("to", Onnx.Float)),
            ],
            [Onnx.Value("x", Onnx.Float, "m", Columns)],
            [Onnx.Value("z", Onnx.Float, "m", Rank), Onnx.Value("values", Onnx.Float, "m", Columns)],
            [Onnx.Tensor("a", Onnx.Float, [Rank, Columns], Bytes(Factor(Columns, Rank)))]);
        using var session = new InferenceSession(model, TestSessions.Quiet().AddZqfpOperators());
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Values(Tokens * Columns, 5), [Tokens, Columns]);
        using IDisposableReadOnlyCollection<OrtValue> made = session.Run(new RunOptions(), ["x"], [x], ["z", "values"]);
        float[] z = made[0].GetTensorDataAsSpan<float>().ToArray(), codes = made[1].GetTensorDataAsSpan<float>().ToArray();
        float[] a = Factor(Columns, Rank);
        for (int i = 0; i < z.Length; i++)
        {
            double expected = Enumerable.Range(0, Columns)
                .Sum(k => (double)a[(i % Rank * Columns) + k] * codes[(i / Rank * Columns) + k]);
            double magnitude = Enumerable.Range(0, Columns)
                .Sum(k => Math.Abs((double)a[(i % Rank * Columns) + k] * codes[(i / Rank * Columns) + k]));
            Assert.InRange(Math.Abs(z[i] - expected), 0, magnitude * Columns * Math.Pow(2, -24));
        }
    }

    [Fact]
    public void A_rule_about_the_factor_is_named()
    {
        Refuses(Model(OperatorNames.QuantizeTokens, OperatorNames.MatMulW4A8, 64, projects: true, rank: 12), 64, "R a multiple of 8");
        byte[] alone = Onnx.Model(
            [Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x", "a"], ["q", "s"])],
            [Onnx.Value("x", Onnx.Float, "m", 64)], [Onnx.Value("s", Onnx.Float, "m", 1)],
            [Onnx.Tensor("a", Onnx.Float, [8, 64], new byte[8 * 64 * 4])]);
        Refuses(alone, 64, "given together or not at all");
        Refuses(Model(OperatorNames.QuantizeTokens, OperatorNames.MatMulW4A8, 64, projects: true, rank: 8), 72, "A has 64 columns");
    }

    private static void Refuses(byte[] model, int columns, string rule)
    {
        var e = Assert.Throws<OnnxRuntimeException>(() => Run(model, 2, columns));
        Assert.Contains("ZQFP4006", e.Message, StringComparison.Ordinal);
        Assert.Contains(rule, e.Message, StringComparison.Ordinal);
    }

    private static (float[] Y, float[] Z) Run(byte[] model, int tokens, int columns)
    {
        using var session = new InferenceSession(model, TestSessions.Quiet().AddZqfpOperators());
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Values(tokens * columns, 3), [tokens, columns]);
        string[] names = [.. session.OutputNames];
        using IDisposableReadOnlyCollection<OrtValue> made = session.Run(new RunOptions(), ["x"], [x], names);
        return (made[0].GetTensorDataAsSpan<float>().ToArray(),
            names.Length > 1 ? made[1].GetTensorDataAsSpan<float>().ToArray() : []);
    }

    private static byte[] Model(string quantize, string product, int columns, bool projects, int rank)
    {
        const int Rows = 70, Group = 64;
        int groups = (columns + Group - 1) / Group;
        bool wide = product == OperatorNames.MatMulW8A8, free = product == OperatorNames.MatMulW4A8Scaled;
        byte[] codes = new byte[Rows * columns / (wide ? 1 : 2)];
        new Random(1).NextBytes(codes);
        if (wide)
        {
            // No NaN among them.
            codes = Array.ConvertAll(codes, code => (byte)(code & 0xBF));
        }

        byte[] exponents = [.. Enumerable.Range(0, Rows * groups).Select(i => (byte)(i % 5))];
        byte[][] constants =
        [
            Onnx.Tensor("w", wide ? Onnx.Float8E4M3FN : Onnx.Float4E2M1, [Rows, columns], codes),
            Onnx.Tensor("e", Onnx.UInt8, [Rows, groups], exponents),
            Onnx.Tensor("g", Onnx.Float, [Rows, groups], Bytes(Values(Rows * groups, 7))),
            Onnx.Tensor("r", Onnx.Float, [Rows], Bytes(Values(Rows, 8))),
            Onnx.Tensor("gain", Onnx.Float, [columns], Bytes(Values(columns, 9))),
            Onnx.Tensor("a", Onnx.Float, [rank, columns], Bytes(Factor(columns, rank))),
            Onnx.Tensor("b", Onnx.Float, [Rows, rank], Bytes(Values(Rows * rank, 11))),
        ];
        string[] read = quantize switch
        {
            OperatorNames.QuantizeTokens => ["x"],
            OperatorNames.GateQuantizeTokens => ["x", "x"],
            _ => ["x", "gain", "", ""],
        };
        string[] made = quantize == OperatorNames.NormQuantizeTokens ? ["q", "s", ""] : ["q", "s"];
        string[] scales = free ? ["g"] : ["e", "r"];
        return Onnx.Model(
            [
                Onnx.Node("zqfp", quantize, projects ? [.. read, "a"] : read, projects ? [.. made, "z"] : made),
                Onnx.Node("zqfp", product, ["q", "s", "w", .. scales, "", .. projects ? ["", "b", "z"] : (string[])["a", "b"]], ["y"],
                    Onnx.Attribute("group_size", Group), Onnx.Attribute("dtype", Onnx.Float)),
            ],
            [Onnx.Value("x", Onnx.Float, "m", "k")],
            [Onnx.Value("y", Onnx.Float, "m", Rows), .. projects ? [Onnx.Value("z", Onnx.Float, "m", rank)] : (byte[][])[]], constants);
    }

    private static float[] Factor(int columns, int rank) => Values(rank * columns, 10);

    private static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() - 0.4) * 2))];
    }

    private static byte[] Bytes(float[] values) => System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values).ToArray();
}
