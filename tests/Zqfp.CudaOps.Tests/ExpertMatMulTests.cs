using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

public sealed class ExpertMatMulTests
{
    public static TheoryData<string> Operators =>
        [OperatorNames.MatMulW4A8, OperatorNames.MatMulW4A8Scaled, OperatorNames.MatMulW4A16, OperatorNames.MatMulW8A8];

    [Theory]
    [MemberData(nameof(Operators))]
    public void Each_row_has_the_bits_that_its_experts_own_product_gives_it(string name)
    {
        (int M, int N, int K, int Group, int Rank, bool Bias)[] cases =
        [
            (5, 64, 64, 32, 0, false), (1, 70, 96, 256, 3, true), (9, 5, 33, 16, 2, true), (40, 130, 48, 48, 0, true),
            (3, 1, 1, 1, 1, false),
        ];
        foreach (var (m, n, k, group, rank, bias) in cases)
        {
            Experts experts = new(name, m, n, k, group, rank, bias);
            foreach (int perToken in new[] { 1, 3 })
            {
                long[] index = [.. Enumerable.Range(0, m * perToken).Select(i => (long)((i * 7) + (i / 3)) % Experts.Count)];
                Assert.Equal(experts.OneByOne(index), experts.Run(index, perToken));
            }
        }
    }

    [Fact]
    public void An_expert_may_have_all_rows_or_none_and_an_index_may_count_from_the_end()
    {
        Experts experts = new(OperatorNames.MatMulW4A8, 6, 20, 32, 16, 2, true);
        Assert.Equal(experts.OneByOne([2, 2, 2, 2, 2, 2]), experts.Run([2, 2, 2, -1, -1, 2], 1));
    }

    [Fact]
    public void An_index_out_of_range_or_of_another_length_is_told()
    {
        Experts experts = new(OperatorNames.MatMulW4A8, 2, 4, 32, 16, 0, false);
        Assert.Contains("Index must be below 3, the number of experts; it has 3",
            Assert.Throws<OnnxRuntimeException>(() => experts.Run([0, 3], 1)).Message, StringComparison.Ordinal);
        Assert.Contains("or a multiple", Assert.Throws<OnnxRuntimeException>(() => experts.Run([0, 1, 2], 3, rows: 2)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void In_floating_point_it_is_the_sum_of_products_within_rounding(bool isInputMajor)
    {
        const int Experts = 3, Rows = 70, Columns = 67, Tokens = 300;
        var random = new Random(5);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
        float[] x = Values(Tokens * Columns), w = Values(Experts * Rows * Columns), bias = Values(Experts * Rows);
        long[] index = [.. Enumerable.Range(0, Tokens).Select(i => (long)(i * i) % Experts)];
        byte[] model = Onnx.Model(
            [Onnx.Node("zqfp", OperatorNames.ExpertMatMul, ["x", "i", "w", "bias"], ["y"],
                Onnx.Attribute(OperatorNames.InputMajor, isInputMajor ? 1 : 0))],
            [Onnx.Value("x", Onnx.Float, "t", Columns), Onnx.Value("i", Onnx.Int64, "t")],
            [Onnx.Value("y", Onnx.Float, "t", Rows)],
            [
                Onnx.Tensor("w", Onnx.Float, isInputMajor ? [Experts, Columns, Rows] : [Experts, Rows, Columns], Onnx.Raw(w)),
                Onnx.Tensor("bias", Onnx.Float, [Experts, Rows], Onnx.Raw(bias)),
            ]);
        using SessionOptions options = Options();
        using var session = new InferenceSession(model, options);
        using var tokens = OrtValue.CreateTensorValueFromMemory(x, [Tokens, Columns]);
        using var experts = OrtValue.CreateTensorValueFromMemory(index, [Tokens]);
        using OrtValue y = session.Run(["x", "i"], [tokens, experts], ["y"])[0];
        ReadOnlySpan<float> values = y.GetTensorDataAsSpan<float>();
        for (int t = 0; t < Tokens; t++)
        {
            for (int n = 0; n < Rows; n++)
            {
                int e = (int)index[t];
                double sum = bias[(e * Rows) + n];
                for (int k = 0; k < Columns; k++)
                {
                    sum += x[(t * Columns) + k]
                        * (double)w[(e * Rows * Columns) + (isInputMajor ? (k * Rows) + n : (n * Columns) + k)];
                }

                Assert.Equal(sum, values[(t * Rows) + n], 1e-5);
            }
        }
    }

    private static SessionOptions Options() =>
        new SessionOptions().Add(new OperatorDomain(LoadedOnnxRuntime.Find().Api, OperatorSets.Cpu()));

    /// <summary>Three experts that the same tokens may go to.</summary>
    private sealed class Experts
    {
        public const int Count = 3;

        private readonly Product[] _products;
        private readonly float[][] _results;

        public Experts(string name, int tokens, int rows, int columns, int group, int rank, bool bias)
        {
            _products =
            [
                .. Enumerable.Range(1, Count).Select(seed => new Product
                {
                    Operator = name,
                    M = tokens,
                    N = rows,
                    K = columns,
                    GroupSize = group,
                    Rank = rank,
                    Bias = bias,
                }.Fill(seed))
            ];
            foreach (Product product in _products.Skip(1))
            {
                _products[0].X.CopyTo(product.X, 0);
                _products[0].FloatX.CopyTo(product.FloatX, 0);
                _products[0].TokenScales.CopyTo(product.TokenScales, 0);
            }

            _results =
            [
                .. _products.Select(product =>
                {
                    using SessionOptions options = Options();
                    using var session = new InferenceSession(product.Model(), options);
                    return product.Run(session);
                })
            ];
        }

        private Product First => _products[0];

        public float[] OneByOne(long[] index)
        {
            int perToken = index.Length / First.M;
            return
            [
                .. index.SelectMany((expert, i) => _results[expert].AsSpan(i / perToken * First.N, First.N).ToArray())
            ];
        }

        public float[] Run(long[] index, int perToken, int? rows = null)
        {
            bool isQuantized = First.QuantizedActivations;
            string name = OperatorNames.ExpertPrefix + First.Operator;
            bool isScaled = First.Operator == OperatorNames.MatMulW4A8Scaled;
            bool isFp8 = First.Operator == OperatorNames.MatMulW8A8;
            (int n, int k, int groups) = (First.N, First.K, First.Groups);
            List<byte[]> constants =
            [
                Onnx.Tensor("w", isFp8 ? Onnx.Float8E4M3FN : Onnx.Float4E2M1, [Count, n, k], Codes(isFp8)),
                .. isScaled
                    ? [Floats("scales", [Count, n, groups], product => product.Scales)]
                    : (byte[][])[Onnx.Tensor("e", Onnx.UInt8, [Count, n, groups], [.. _products.SelectMany(product => product.E)]),
                        Floats("s", [Count, n], product => product.S)],
            ];
            List<string> inputs =
            [
                .. isQuantized ? ["x", "sx"] : (string[])["x"], "i", "w", .. isScaled ? ["scales"] : (string[])["e", "s"]
            ];
            inputs.Add(First.Bias ? "bias" : "");
            if (First.Bias)
            {
                constants.Add(Floats("bias", [Count, n], product => product.BiasValues));
            }

            if (First.Rank > 0)
            {
                constants.Add(Floats("a", [Count, First.Rank, k], product => product.A));
                constants.Add(Floats("b", [Count, n, First.Rank], product => product.B));
                inputs.AddRange(["a", "b"]);
            }

            byte[] node = Onnx.Node("zqfp", name, [.. inputs], ["y"], Onnx.Attribute("group_size", First.GroupSize));
            byte[] model = Onnx.Model(
                isQuantized ? [Onnx.Node("", "Cast", ["xf"], ["x"], Onnx.Attribute("to", Onnx.Float8E4M3FN)), node] : [node],
                [
                    .. isQuantized
                        ? [Onnx.Value("xf", Onnx.Float, "m", k), Onnx.Value("sx", Onnx.Float, "m", 1)]
                        : (byte[][])[Onnx.Value("x", Onnx.Float, "m", k)],
                    Onnx.Value("i", Onnx.Int64, "t", "p"),
                ],
                [Onnx.Value("y", Onnx.Float, "t", "p", n)],
                [.. constants]);
            using SessionOptions options = Options();
            using var session = new InferenceSession(model, options);
            int tokens = rows ?? First.M;
            float[] values = isQuantized ? [.. First.X.Select(code => (float)Reference.Fp8(code))] : First.FloatX;
            using var x = OrtValue.CreateTensorValueFromMemory(values, [tokens, k]);
            using var scales = OrtValue.CreateTensorValueFromMemory(First.TokenScales, [tokens, 1]);
            using var experts = OrtValue.CreateTensorValueFromMemory(index, [index.Length / perToken, perToken]);
            using OrtValue y = session.Run(isQuantized ? ["xf", "sx", "i"] : ["x", "i"], isQuantized ? [x, scales, experts] : [x, experts],
                ["y"])[0];
            return y.GetTensorDataAsSpan<float>().ToArray();
        }

        /// <summary>
        /// The codes of all experts without a gap: with an odd number of 4-bit codes the second begins in the middle of a byte.
        /// </summary>
        private byte[] Codes(bool isFp8)
        {
            if (isFp8)
            {
                return [.. _products.SelectMany(product => product.W)];
            }

            int count = First.N * First.K;
            byte[] packed = new byte[((Count * count) + 1) / 2];
            for (int i = 0; i < Count * count; i++)
            {
                int within = i % count;
                int code = (_products[i / count].W[within / 2] >> (4 * (within % 2))) & 15;
                packed[i / 2] |= (byte)(code << (4 * (i % 2)));
            }

            return packed;
        }

        private byte[] Floats(string name, long[] shape, Func<Product, float[]> part) =>
            Onnx.Tensor(name, Onnx.Float, shape, Onnx.Raw([.. _products.SelectMany(part)]));
    }
}
