using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.CudaOps.Tests;

public sealed class MatMulTests
{
    public static TheoryData<string> Operators =>
    [
        OperatorNames.MatMulW4A8, OperatorNames.MatMulW4A8Scaled, OperatorNames.MatMulW4A16, OperatorNames.MatMulW8A8,
        OperatorNames.MatMulW8A16,
    ];

    [Theory]
    [MemberData(nameof(Operators))]
    public void Equals_its_float64_definition_within_the_bound(string name)
    {
        (int M, int N, int K, int Group, int Rank, bool Bias)[] cases =
        [
            (1, 64, 64, 64, 0, false), (1, 200, 768, 256, 8, true), (2, 65, 96, 32, 3, true), (3, 130, 300, 256, 0, false),
            (7, 1, 1, 1, 1, true),
            (13, 96, 172, 64, 8, false), (6, 64, 1030, 1030, 0, true), (140, 70, 264, 24, 16, true), (5, 33, 40, 5, 0, true),
            (17, 8, 7, 256, 2, false),
            (3, 20, 9, 1, 0, false), (1, 65, 100, 3, 1, true), (4, 3, 0, 16, 0, true), (2, 0, 32, 16, 0, true),
            (128, 1, 259, 258, 0, false),
        ];
        foreach (var (m, n, k, group, rank, bias) in cases)
        {
            Check(new Product { Operator = name, M = m, N = n, K = k, GroupSize = group, Rank = rank, Bias = bias }.Fill(m + n + k));
        }
    }

    [Theory]
    [InlineData(Onnx.Float4E2M1)]
    [InlineData(Onnx.UInt4)]
    public void Takes_its_codes_as_FP4_and_as_UINT4_also_an_odd_number_of_them(int type)
    {
        Check(new Product { Operator = OperatorNames.MatMulW4A8, M = 3, N = 5, K = 33, GroupSize = 16, WeightType = type }.Fill(3));
    }

    [Theory]
    [MemberData(nameof(Operators))]
    public void Takes_float16_for_whatever_may_be_float16(string name)
    {
        Check(new Product
        {
            Operator = name,
            M = 5,
            N = 66,
            K = 45,
            GroupSize = 16,
            Rank = 3,
            Bias = true,
            HalfInput = true,
            HalfConstants = true
        }.Fill(6));
    }

    [Theory]
    [MemberData(nameof(Operators))]
    public void Gives_float16_rounded_from_the_float_result(string name)
    {
        Product exact = new Product { Operator = name, M = 9, N = 70, K = 64, GroupSize = 32, Rank = 4, Bias = true }.Fill(5);
        Product rounded = new Product
        {
            Operator = name,
            M = 9,
            N = 70,
            K = 64,
            GroupSize = 32,
            Rank = 4,
            Bias = true,
            HalfOutput = true
        }.Fill(5);
        using InferenceSession exactSession = Load(exact), roundedSession = Load(rounded);
        Assert.Equal(exact.Run(exactSession).Select(value => (float)(Half)value), rounded.Run(roundedSession));
    }

    [Theory]
    [MemberData(nameof(Operators))]
    public void Keeps_leading_dimensions_also_where_there_are_no_tokens(string name)
    {
        foreach (long[] leading in new long[][] { [2, 3], [1, 6], [0, 4], [3, 0] })
        {
            int tokens = (int)(leading[0] * leading[1]);
            Product product = new Product { Operator = name, M = tokens, N = 10, K = 16, GroupSize = 16 }.Fill(1);
            using var session = new InferenceSession(product.Model(batched: true), Options());
            Assert.Equal(["b", "s", ""], session.OutputMetadata["y"].SymbolicDimensions);
            Assert.Equal(10, session.OutputMetadata["y"].Dimensions[2]);
            float[] y = product.Run(session, leading);
            Assert.Equal(tokens * 10, y.Length);
        }
    }

    [Theory]
    [MemberData(nameof(Operators))]
    public void A_token_gets_the_same_bits_alone_and_among_others(string name)
    {
        Product many = new Product { Operator = name, M = 131, N = 130, K = 600, GroupSize = 256, Rank = 8, Bias = true }.Fill(8);
        using InferenceSession session = Load(many);
        float[] all = many.Run(session);
        foreach (int count in new[] { 1, 2, 3, 4, 5, 6, 7, 64 })
        {
            Product few = new Product { Operator = name, M = count, N = 130, K = 600, GroupSize = 256 }.Fill(8);
            many.X.AsSpan(0, few.X.Length).CopyTo(few.X);
            many.FloatX.AsSpan(0, few.FloatX.Length).CopyTo(few.FloatX);
            many.TokenScales.AsSpan(0, count).CopyTo(few.TokenScales);
            Assert.Equal(all[..(count * 130)], few.Run(session));
        }
    }

    [Theory]
    [MemberData(nameof(Operators))]
    public void Every_instruction_set_gives_the_same_bits(string name)
    {
        foreach (int rows in new[] { 1, 2, 3, 4, 5, 6, 7, 13, 15 })
        {
            Product product = new Product { Operator = name, M = rows, N = 100, K = 530, GroupSize = 128, Rank = 5, Bias = true }
                .Fill(rows);
            float[][] results =
            [
                .. InnerLoops.All.Select(loops =>
                {
                    using SessionOptions options = new SessionOptions()
                        .Add(new OperatorDomain(LoadedOnnxRuntime.Find().Api, OperatorSets.Cpu(loops)));
                    using var session = new InferenceSession(product.Model(), options);
                    return product.Run(session);
                }),
            ];
            Assert.All(results, result => Assert.Equal(results[0], result));
        }
    }

    [Fact]
    public void Every_exponent_scales_exactly()
    {
        for (int exponent = 0; exponent < 256; exponent++)
        {
            Product product = new Product { Operator = OperatorNames.MatMulW4A8, M = 1, N = 4, K = 32, GroupSize = 16 }.Fill(exponent);
            product.E.AsSpan().Fill((byte)exponent);
            product.S.AsSpan().Fill(MathF.ScaleB(1, Math.Min(exponent, 120)));
            product.TokenScales[0] = 1;
            using InferenceSession session = Load(product);
            float[] y = product.Run(session);
            for (int n = 0; n < 4; n++)
            {
                // 32 products of values with at most 5 significant bits: no rounding happens but that to float at the end.
                Assert.Equal((float)product.Expected(0, n).Value, y[n]);
            }
        }
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(8)]
    public void NaN_spoils_its_token_and_no_other(int tokens)
    {
        Product product = new Product { Operator = OperatorNames.MatMulW4A8, M = tokens, N = 70, K = 64, GroupSize = 64 }.Fill(2);
        product.X[64 + 5] = 0x7F;
        product.TokenScales[3] = float.NaN;
        using InferenceSession session = Load(product);
        float[] y = product.Run(session);
        for (int m = 0; m < tokens; m++)
        {
            Assert.All(y[(m * 70)..((m + 1) * 70)], value => Assert.Equal(m is 1 or 3, float.IsNaN(value)));
        }
    }

    [Theory]
    [InlineData(64, 32)]
    [InlineData(30, 7)]
    public void NaN_among_the_weights_spoils_its_row_and_no_other(int columns, int group)
    {
        foreach (int rows in new[] { 1, 5 })
        {
            Product product = new Product
            {
                Operator = OperatorNames.MatMulW8A8,
                M = rows,
                N = 70,
                K = columns,
                GroupSize = group,
                Rank = 2,
                Bias = true
            }.Fill(2);
            product.W[(3 * columns) + 5] = 0x7F;
            product.W[(69 * columns) + columns - 1] = 0xFF;
            using InferenceSession session = Load(product);
            float[] y = product.Run(session);
            for (int i = 0; i < y.Length; i++)
            {
                Assert.Equal(i % 70 is 3 or 69, float.IsNaN(y[i]));
            }
        }
    }

    [Fact]
    public void Breaking_a_rule_names_the_node_and_the_rule()
    {
        Product product = new Product { Operator = OperatorNames.MatMulW4A8, M = 2, N = 4, K = 32, GroupSize = 16 }.Fill(1);
        byte[] weights = Onnx.Tensor("w", Onnx.Float4E2M1, [4, 32], product.W);
        byte[] exponents = Onnx.Tensor("e", Onnx.UInt8, [4, 2], product.E);
        byte[] scales = Onnx.Tensor("s", Onnx.Float, [4], Onnx.Raw(product.S));
        byte[] wrongExponents = Onnx.Tensor("e", Onnx.UInt8, [4, 1], product.E[..4]);
        byte[] wrongScales = Onnx.Tensor("s", Onnx.Float, [3], Onnx.Raw(product.S[..3]));
        byte[] wrongWeights = Onnx.Tensor("w", Onnx.UInt8, [4, 32], new byte[128]);
        Fails("E must be [N, ceil(K / group_size)] = [4, 2]; it is [4, 1]", [weights, wrongExponents, scales]);
        Fails("S must be [N] = [4]; it is [3]", [weights, exponents, wrongScales]);
        Fails("W must be of type FLOAT4E2M1 or UINT4; it is UInt8", [wrongWeights, exponents, scales]);
        Fails("group_size must be at least 1; it is 0", [weights, exponents, scales], groupSize: 0);
        Fails("dtype must be 1 (float) or 10 (float16); it is 7", [weights, exponents, scales], type: 7);
        Fails("S (input 4) must be an initializer", [weights, exponents], feed: "s");
        Fails("bias (input 5) must be an initializer", [weights, exponents, scales], feed: "bias");
        byte[] a = Onnx.Tensor("a", Onnx.Float, [1, 32], new byte[128]), b = Onnx.Tensor("b", Onnx.Float, [4, 1], new byte[16]);
        byte[] shortVector = Onnx.Tensor("v", Onnx.Float, [3], new byte[12]), bytes = Onnx.Tensor("v", Onnx.UInt8, [4], new byte[4]);
        Fails("A and B are given together or not at all", [weights, exponents, scales, a], more: ["", "a"]);
        Fails("A must be [r, K]; it is [3]", [weights, exponents, scales, shortVector, b], more: ["", "v", "b"]);
        Fails("A must be [r, K] = [4, 32]; it is [4, 1]", [weights, exponents, scales, b], more: ["", "b", "b"]);
        Fails("B must be [N, r] = [4, 1]; it is [1, 32]", [weights, exponents, scales, a], more: ["", "a", "a"]);
        Fails("bias must be [N] = [4]; it is [3]", [weights, exponents, scales, shortVector], more: ["v"]);
        Fails("bias must be of type Float or Float16; it is UInt8", [weights, exponents, scales, bytes], more: ["v"]);
        Fails("W must be [N, K]; it is [128]", [Onnx.Tensor("w", Onnx.Float4E2M1, [128], product.W), exponents, scales]);
    }

    [Fact]
    public void A_model_that_does_not_tell_the_rank_of_X_computes_all_the_same()
    {
        Product product = new Product { Operator = OperatorNames.MatMulW4A16, M = 6, N = 4, K = 32, GroupSize = 16 }.Fill(1);
        byte[] model = Onnx.Model(
            [
                Onnx.Node("", "Reshape", ["z", "shape"], ["x"]),
                Onnx.Node("zqfp", OperatorNames.MatMulW4A16, ["x", "w", "e", "s"], ["p"], Onnx.Attribute("group_size", 16)),
                Onnx.Node("", "Add", ["p", "zero"], ["q"]),
                Onnx.Node("", "Transpose", ["q"], ["y"]),
            ],
            [Onnx.Value("z", Onnx.Float, "m", 32), Onnx.Value("shape", Onnx.Int64, "rank")],
            [Onnx.Value("y", Onnx.Float, "n", "b", "a")],
            [
                Onnx.Tensor("w", Onnx.UInt4, [4, 32], product.W), Onnx.Tensor("e", Onnx.UInt8, [4, 2], product.E),
                Onnx.Tensor("s", Onnx.Float, [4], Onnx.Raw(product.S)),
                Onnx.Tensor("zero", Onnx.Float, [1], new byte[4]),
            ]);
        using var session = new InferenceSession(model, Options());
        using var z = OrtValue.CreateTensorValueFromMemory<float>(product.FloatX, [6, 32]);
        using var shape = OrtValue.CreateTensorValueFromMemory<long>([2L, 3, 32], [3]);
        using OrtValue y = session.Run(["z", "shape"], [z, shape], ["y"])[0];
        Assert.Equal([4, 3, 2], y.GetTensorTypeAndShape().Shape);
        Assert.Equal(product.Expected(1, 2).Value, y.GetTensorDataAsSpan<float>()[(2 * 6) + (1 * 2)], 1e-4);
    }

    [Fact]
    public void An_activation_that_does_not_fit_is_told_at_run_time()
    {
        Product product = new Product { Operator = OperatorNames.MatMulW4A16, M = 2, N = 4, K = 32, GroupSize = 16 }.Fill(1);
        byte[][] constants =
        [
            Onnx.Tensor("w", Onnx.UInt4, [4, 32], product.W), Onnx.Tensor("e", Onnx.UInt8, [4, 2], product.E),
            Onnx.Tensor("s", Onnx.Float, [4], Onnx.Raw(product.S)),
        ];
        FailsToRun("The last dimension of X must be K = 32; X is [1, 31].", OperatorNames.MatMulW4A16, constants,
            Onnx.Float, ["m", "k"], [1, 31]);
        FailsToRun("The last dimension of X must be K = 32; X is [].", OperatorNames.MatMulW4A16, constants, Onnx.Float, [], []);
        FailsToRun("X must be of type Float or Float16; it is Int64.", OperatorNames.MatMulW4A16, constants, Onnx.Int64,
            ["m", 32], [1, 32]);
        FailsToRun("Sx must hold one scale for each of the 2 tokens; it is [3, 1].", OperatorNames.MatMulW4A8,
            constants, Onnx.Float8E4M3FN, ["m", 32], [2, 32], [3, 1]);
    }

    private static void Fails(
        string rule, byte[][] initializers, long groupSize = 16, long type = 1, string feed = "", string[]? more = null)
    {
        byte[][] inputs = [Onnx.Value("x", Onnx.Float8E4M3FN, "m", 32), Onnx.Value("sx", Onnx.Float, "m", 1)];
        byte[] model = Onnx.Model(
            [Onnx.Node("zqfp", OperatorNames.MatMulW4A8, ["x", "sx", "w", "e", "s", .. more ?? (feed == "bias" ? [feed] : [])],
                ["y"], Onnx.Attribute("group_size", groupSize), Onnx.Attribute("dtype", type))],
            feed.Length > 0 ? [.. inputs, Onnx.Value(feed, Onnx.Float, 4)] : inputs,
            [Onnx.Value("y", (int)type, "m", 4)],
            initializers);
        var error = Assert.Throws<OnnxRuntimeException>(() => new InferenceSession(model, Options()));
        Assert.Contains("ZQFP4006", error.Message);
        Assert.Contains(rule, error.Message);
        Assert.Contains("MatMulW4A8_of_y", error.Message);
    }

    private static void FailsToRun(
        string rule, string name, byte[][] constants, int type, object[] dimensions, long[] shape, params long[] scaleShape)
    {
        bool isQuantized = scaleShape.Length > 0;
        byte[] product = Onnx.Node("zqfp", name, [.. (string[])(isQuantized ? ["xq", "sx"] : ["x"]), "w", "e", "s"],
            ["y"], Onnx.Attribute("group_size", 16));
        byte[] x = Onnx.Value("x", isQuantized ? Onnx.Float : type, dimensions);
        byte[] model = Onnx.Model(
            isQuantized ? [Onnx.Node("", "Cast", ["x"], ["xq"], Onnx.Attribute("to", type)), product] : [product],
            isQuantized ? [x, Onnx.Value("sx", Onnx.Float, "t", 1)] : [x],
            [Onnx.Value("y", Onnx.Float)],
            constants);
        using var session = new InferenceSession(model, Options());
        using OrtValue input = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance, isQuantized ? TensorElementType.Float : (TensorElementType)type, shape);
        input.GetTensorMutableRawData().Clear();
        using OrtValue scales = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, scaleShape);
        var error = Assert.Throws<OnnxRuntimeException>(
            () => session.Run(isQuantized ? ["x", "sx"] : ["x"], isQuantized ? [input, scales] : [input], ["y"]));
        Assert.Contains("ZQFP4006: " + rule, error.Message);
        Assert.Contains(name + "_of_y", error.Message);
    }

    private static SessionOptions Options() => TestSessions.Quiet().AddZqfpOperators();

    private static InferenceSession Load(Product product) => new InferenceSession(product.Model(), Options());

    private static void Check(Product product)
    {
        using InferenceSession session = Load(product);
        float[] y = product.Run(session);

        // A chain of n roundings is off by at most about n half units of the sum of magnitudes: chunks of 256, then their total,
        // then the low-rank sums of K / 4 and r, and the epilogue.
        double chain = Math.Min(product.GroupSize, 256) + (2 * product.Groups) + (product.K / 256)
            + (product.Rank > 0 ? (product.K / 4) + product.Rank : 0) + 16;
        double bound = chain * Math.Pow(2, -24);
        for (int m = 0; m < product.M; m++)
        {
            for (int n = 0; n < product.N; n++)
            {
                (double expected, double magnitude) = product.Expected(m, n);
                Assert.True(
                    Math.Abs(y[(m * product.N) + n] - expected) <= bound * magnitude,
                    $"{product.Operator} M {product.M} N {product.N} K {product.K} group {product.GroupSize}: ({m}, {n}) is "
                    + $"{y[(m * product.N) + n]}, expected {expected} within {bound * magnitude}");
            }
        }
    }
}
