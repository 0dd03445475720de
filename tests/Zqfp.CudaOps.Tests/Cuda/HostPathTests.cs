using Microsoft.ML.OnnxRuntime;
using static Zqfp.Tests.NullDriver;

namespace Zqfp.CudaOps.Tests;

/// <summary>What a call of a GPU operator asks of the driver, told by one that does nothing.</summary>
public sealed class HostPathTests
{
    private const int Columns = 512;

    /// <summary>So a CUDA graph can record it: capturing forbids memory to be allocated and streams to be waited for.</summary>
    [Theory]
    [InlineData(OperatorNames.MatMulW4A8, 0, 256, 2, 2)]
    [InlineData(OperatorNames.MatMulW4A8, 8, 256, 2, 3)]
    [InlineData(OperatorNames.MatMulW4A8, 3, 24, 3, 3)]
    [InlineData(OperatorNames.MatMulW4A8Scaled, 8, 256, 2, 3)]
    public void A_call_launches_kernels_and_asks_the_driver_for_nothing_else(string name, int rank, int group, int few, int many)
    {
        const int Nodes = 5;
        using SessionOptions options = new SessionOptions { IntraOpNumThreads = 1 }.Add(Domain());
        using var session = new InferenceSession(Chain(name, rank, group, Nodes), options);
        foreach (int tokens in new[] { 1, 16, 40, 200, 1 })
        {
            float[] x = new float[tokens * Columns];
            Run(session, x, tokens);
            int[] before = Counts();
            Run(session, x, tokens);
            int[] asked = [.. Counts().Zip(before, (after, first) => after - first)];
            // The tokens' addresses may be new to the layer, and then are described to the copy engine.
            Assert.Equal([Nodes * (tokens <= 32 ? few : many), 0, 0, 0, 0], asked[..^1]);
            Assert.InRange(asked[^1], 0, Nodes);
        }
    }

    /// <summary>Few rows are sorted by the product itself, more by a kernel before it; what does not suit has another kernel.</summary>
    [Theory]
    [InlineData(0, 256, 1, 2)]
    [InlineData(8, 256, 2, 3)]
    [InlineData(3, 24, 2, 2)]
    public void A_product_of_all_experts_is_one_launch_and_another_that_sorts_many_rows(int rank, int group, int few, int many)
    {
        using SessionOptions options = new SessionOptions { IntraOpNumThreads = 1 }.Add(Domain());
        using var session = new InferenceSession(Experts(rank, group), options);
        foreach ((int tokens, int perToken) in new[] { (1, 2), (16, 2), (11, 3), (300, 4), (1, 2) })
        {
            // The same memory twice: where it begins decides what quantizes it.
            float[] x = GC.AllocateArray<float>(tokens * Columns, pinned: true);
            Run(x, tokens, perToken);
            int[] before = Counts();
            Run(x, tokens, perToken);
            int[] asked = [.. Counts().Zip(before, (after, first) => after - first)];
            Assert.Equal([1 + (tokens * perToken <= SortedRows.FewRows ? few : many), 0, 0, 0, 0, 0], asked);
        }

        void Run(float[] x, int tokens, int perToken)
        {
            using OrtValue input = OrtValue.CreateTensorValueFromMemory(x, [tokens, Columns]);
            using OrtValue index = OrtValue.CreateTensorValueFromMemory(new long[tokens * perToken], [tokens * perToken]);
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(new RunOptions(), ["x", "i"], [input, index], ["y"]);
        }
    }

    [Theory]
    [InlineData(256)]
    [InlineData(24)]
    public void Experts_that_the_device_refuses_half_way_give_back_what_they_had(int group)
    {
        Assert.True(RefusalsUntilItFits(Experts(8, group), options => options) > 12);
    }

    [Theory]
    [InlineData(ZqfpWeights.Both, 2)]
    [InlineData(ZqfpWeights.Expanded, 3)]
    public void Expanded_weights_are_made_when_the_session_is_and_take_no_call_more(ZqfpWeights weights, int few)
    {
        const int Nodes = 5, Many = 3;
        using SessionOptions options = new SessionOptions { IntraOpNumThreads = 1 }.Add(Domain()).UseZqfpWeights(weights);
        int before = Count(Call.Launch);
        using var session = new InferenceSession(Chain(OperatorNames.MatMulW4A8, 8, 256, Nodes), options);
        Assert.Equal(Nodes, Count(Call.Launch) - before);
        foreach (int tokens in new[] { 1, 16, 200, 1000, 10_000, 1 })
        {
            float[] x = new float[tokens * Columns];
            Run(session, x, tokens);
            before = Count(Call.Launch);
            int allocated = Count(Call.Allocate);
            Run(session, x, tokens);
            Assert.Equal(Nodes * (tokens <= 32 ? few : Many), Count(Call.Launch) - before);
            Assert.Equal(allocated, Count(Call.Allocate));
        }
    }

    [Fact]
    public void A_form_of_weights_that_does_not_exist_is_told_with_those_that_do()
    {
        using SessionOptions options = new SessionOptions().Add(Domain());
        options.AddSessionConfigEntry("zqfp.weights", "fp6");
        var e = Assert.Throws<OnnxRuntimeException>(() => new InferenceSession(Chain(OperatorNames.MatMulW4A8, 0, 256, 1), options));
        Assert.Contains("ZQFP4006", e.Message, StringComparison.Ordinal);
        Assert.Contains("'fp6'; it can be packed, both or expanded", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ZqfpWeights.Packed)]
    [InlineData(ZqfpWeights.Both)]
    [InlineData(ZqfpWeights.Expanded)]
    public void A_session_that_goes_gives_back_all_device_memory(ZqfpWeights weights)
    {
        int before = Count(Call.Allocate) - Count(Call.Free);
        using (SessionOptions options = new SessionOptions { IntraOpNumThreads = 1 }.Add(Domain()).UseZqfpWeights(weights))
        using (var session = new InferenceSession(Chain(OperatorNames.MatMulW4A8, 8, 256, 2), options))
        {
            Run(session, new float[3 * Columns], 3);
            Assert.True(Count(Call.Allocate) - Count(Call.Free) > before);
        }

        Assert.Equal(before, Count(Call.Allocate) - Count(Call.Free));
    }

    [Theory]
    [InlineData(OperatorNames.MatMulW4A8, 256, ZqfpWeights.Packed)]
    [InlineData(OperatorNames.MatMulW4A8, 256, ZqfpWeights.Both)]
    [InlineData(OperatorNames.MatMulW4A8, 256, ZqfpWeights.Expanded)]
    [InlineData(OperatorNames.MatMulW4A8, 24, ZqfpWeights.Packed)]
    [InlineData(OperatorNames.MatMulW8A8, Columns, ZqfpWeights.Packed)]
    [InlineData(OperatorNames.MatMulW8A8, 128, ZqfpWeights.Packed)]
    public void A_session_that_the_device_refuses_half_way_gives_back_what_it_had(string name, int group, ZqfpWeights weights)
    {
        Assert.True(RefusalsUntilItFits(Chain(name, 8, group, 2), options => options.UseZqfpWeights(weights)) > 16);
    }

    [Theory]
    [InlineData(false, "w4a8_gemm.cu")]
    [InlineData(true, "half_gemm.cu")]
    public void A_device_other_than_Hopper_gets_the_kernels_that_run_there(bool isAmpere, string product)
    {
        List<string> compiled = [];
        using SessionOptions options = new SessionOptions { IntraOpNumThreads = 1 }.Add(new OperatorDomain(
            LoadedOnnxRuntime.Find().Api,
            [.. CudaProvider.Operators(Session(source => { lock (compiled) { compiled.Add(source); } }, isAmpere), provider: null)]));
        using var session = new InferenceSession(Chain(OperatorNames.MatMulW4A8, 8, 256, 1), options);
        Run(session, new float[3 * Columns], 3);
        Assert.Contains(product, compiled);
        Assert.Equal(isAmpere, !compiled.Contains("w4a8_gemm.cu"));
        Assert.Contains("quantize_tokens.cu", compiled);
    }

    private static OperatorDomain Domain() => new(LoadedOnnxRuntime.Find().Api, [.. CudaProvider.Operators(Session(), provider: null)]);

    /// <summary>
    /// Lets the device refuse the first call, the second and so on, until a session is made; each time nothing may stay on it.
    /// </summary>
    private static int RefusalsUntilItFits(byte[] model, Func<SessionOptions, SessionOptions> with)
    {
        int before = Count(Call.Allocate) - Count(Call.Free), refused = 0;
        for (bool fits = false; !fits; refused++)
        {
            using SessionOptions options = with(new SessionOptions { IntraOpNumThreads = 1 }.Add(Domain()));
            LimitCalls(refused);
            try
            {
                using var session = new InferenceSession(model, options);
                fits = true;
            }
            catch (OnnxRuntimeException e)
            {
                Assert.Contains("ZQFP4104", e.Message, StringComparison.Ordinal);
            }
            finally
            {
                LimitCalls(int.MaxValue);
            }

            Assert.Equal(before, Count(Call.Allocate) - Count(Call.Free));
        }

        return refused;
    }

    private static int[] Counts() => [.. Enum.GetValues<Call>().Select(Count)];

    private static void Run(InferenceSession session, float[] x, int tokens)
    {
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(x, [tokens, Columns]);
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(new RunOptions(), ["x0"], [input], ["y"]);
    }

    private static byte[] Experts(int rank, int group)
    {
        const int Count = 4;
        int groups = (Columns + group - 1) / group;
        byte[][] constants =
        [
            Onnx.Tensor("w", Onnx.Float4E2M1, [Count, Columns, Columns], new byte[Count * Columns * Columns / 2]),
            Onnx.Tensor("e", Onnx.UInt8, [Count, Columns, groups], new byte[Count * Columns * groups]),
            Onnx.Tensor("s", Onnx.Float, [Count, Columns], new byte[Count * Columns * 4]),
            Onnx.Tensor("a", Onnx.Float, [Count, rank, Columns], new byte[Count * rank * Columns * 4]),
            Onnx.Tensor("b", Onnx.Float, [Count, Columns, rank], new byte[Count * rank * Columns * 4]),
        ];
        string[] branch = rank > 0 ? ["", "a", "b"] : [];
        return Onnx.Model(
            [
                Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x"], ["q", "t"], Onnx.Attribute("rotation", 0)),
                Onnx.Node("zqfp", OperatorNames.ExpertPrefix + OperatorNames.MatMulW4A8, ["q", "t", "i", "w", "e", "s", .. branch], ["y"],
                    Onnx.Attribute("group_size", group), Onnx.Attribute("dtype", Onnx.Float)),
            ],
            [Onnx.Value("x", Onnx.Float, "m", Columns), Onnx.Value("i", Onnx.Int64, "t")], [Onnx.Value("y", Onnx.Float, "t", Columns)],
            constants);
    }

    private static byte[] Chain(string name, int rank, int group, int nodes)
    {
        int groups = (Columns + group - 1) / group;
        bool free = name == OperatorNames.MatMulW4A8Scaled;
        byte[][] constants =
        [
            name == OperatorNames.MatMulW8A8
                ? Onnx.Tensor("w", Onnx.Float8E4M3FN, [Columns, Columns], new byte[Columns * Columns])
                : Onnx.Tensor("w", Onnx.Float4E2M1, [Columns, Columns], new byte[Columns * Columns / 2]),
            Onnx.Tensor("e", Onnx.UInt8, [Columns, groups], new byte[Columns * groups]),
            Onnx.Tensor("g", Onnx.Float, [Columns, groups], new byte[Columns * groups * 4]),
            Onnx.Tensor("s", Onnx.Float, [Columns], new byte[Columns * 4]),
            Onnx.Tensor("a", Onnx.Float, [rank, Columns], new byte[rank * Columns * 4]),
            Onnx.Tensor("b", Onnx.Float, [Columns, rank], new byte[rank * Columns * 4]),
        ];
        string[] scales = free ? ["g"] : ["e", "s"];
        string[] branch = rank > 0 ? ["", "a", "b"] : [];
        IEnumerable<byte[]> Step(int i) =>
        [
            Onnx.Node("zqfp", OperatorNames.QuantizeTokens, [$"x{i}"], [$"q{i}", $"t{i}"], Onnx.Attribute("rotation", 0)),
            Onnx.Node("zqfp", name, [$"q{i}", $"t{i}", "w", .. scales, .. branch], [i == nodes - 1 ? "y" : $"x{i + 1}"],
                Onnx.Attribute("group_size", group), Onnx.Attribute("dtype", Onnx.Float)),
        ];
        return Onnx.Model(
            [.. Enumerable.Range(0, nodes).SelectMany(Step)], [Onnx.Value("x0", Onnx.Float, "m", Columns)],
            [Onnx.Value("y", Onnx.Float, "m", Columns)], constants);
    }
}
