using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Zqfp.CudaOps.Tests;

public sealed class AllocationTests
{
    public static TheoryData<string, int, int> OperatorsTypesAndRotations
    {
        get
        {
            var data = new TheoryData<string, int, int>();
            foreach (string name in new[] { OperatorNames.QuantizeTokens, OperatorNames.RoundTokens, OperatorNames.MatMulW4A16 })
            {
                data.Add(name, Onnx.Float, 0);
                data.Add(name, Onnx.Float16, 0);
            }
            data.Add(OperatorNames.QuantizeTokens, Onnx.Float, 32);
            data.Add(OperatorNames.QuantizeTokens, Onnx.Float16, 32);
            data.Add(OperatorNames.RotateTokens, Onnx.Float, 32);
            return data;
        }
    }

    /// <summary>A run allocates for its own inputs and outputs; what nodes add to that is what their kernels allocate.</summary>
    [Theory]
    [MemberData(nameof(OperatorsTypesAndRotations))]
    public void A_kernel_allocates_nothing_once_it_is_warm(string name, int type, int rotation)
    {
        foreach (int tokens in new[] { 1, 40 })
        {
            // Between the two the runtime may compile the code that runs the session better, which then allocates less for itself.
            (long one, long nine) = (0, 1);
            for (int attempt = 0; attempt < 5 && one != nine; attempt++)
            {
                one = AllocatedBytes(name, type, rotation, tokens, nodes: 1);
                nine = AllocatedBytes(name, type, rotation, tokens, nodes: 9);
            }

            Assert.Equal(one, nine);
        }
    }

    private static long AllocatedBytes(string name, int type, int rotation, int tokens, int nodes)
    {
        const int Columns = 96;
        var options = new SessionOptions { IntraOpNumThreads = 1 }.AddZqfpOperators();
        byte[] model = Chain(name, type, rotation, Columns, nodes);
        using var session = new InferenceSession(model, options);
        using OrtValue x = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, (TensorElementType)type, [tokens, Columns]);
        x.GetTensorMutableRawData().Clear();
        long least = long.MaxValue;
        for (int run = 0; run < 40; run++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            session.Run(["x0"], [x], ["y"])[0].Dispose();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        return least;
    }

    /// <summary>
    /// x0 -> x1 -> .. -> y, each step by one node of the operator (and where it gives codes, one product that takes them).
    /// </summary>
    private static byte[] Chain(string name, int type, int rotation, int columns, int nodes)
    {
        byte[][] constants =
        [
            Onnx.Tensor("w", Onnx.Float4E2M1, [columns, columns], new byte[columns * columns / 2]),
            Onnx.Tensor("e", Onnx.UInt8, [columns, 3], new byte[columns * 3]),
            Onnx.Tensor("s", Onnx.Float, [columns], new byte[columns * 4]),
            Onnx.Tensor("a", Onnx.Float, [2, columns], new byte[columns * 8]),
            Onnx.Tensor("b", Onnx.Float, [columns, 2], new byte[columns * 8]),
        ];
        byte[][] attributes = [Onnx.Attribute("group_size", 32), Onnx.Attribute("dtype", type)];
        IEnumerable<byte[]> Step(int i)
        {
            string x = $"x{i}", y = i == nodes - 1 ? "y" : $"x{i + 1}";
            return name switch
            {
                OperatorNames.QuantizeTokens =>
                [
                    Onnx.Node("zqfp", name, [x], [$"q{i}", $"t{i}"], Onnx.Attribute("rotation", rotation)),
                    Onnx.Node("zqfp", OperatorNames.MatMulW4A8, [$"q{i}", $"t{i}", "w", "e", "s", "", "a", "b"], [y], attributes),
                ],
                OperatorNames.RotateTokens => [Onnx.Node("zqfp", name, [x], [y], Onnx.Attribute("rotation", rotation))],
                OperatorNames.RoundTokens => [Onnx.Node("zqfp", name, [x], [y], Onnx.Attribute("format", "int8"))],
                _ => [Onnx.Node("zqfp", name, [x, "w", "e", "s", "", "a", "b"], [y], attributes)],
            };
        }
        return Onnx.Model(
            [.. Enumerable.Range(0, nodes).SelectMany(Step)], [Onnx.Value("x0", type, "m", columns)],
            [Onnx.Value("y", type, "m", columns)], constants);
    }
}
