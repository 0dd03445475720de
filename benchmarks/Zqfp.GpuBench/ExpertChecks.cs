using Zqfp.CudaOps;
using Zqfp.Tests;

namespace Zqfp.GpuBench;

/// <summary>Products for experts on the GPU against the processor's.</summary>
internal sealed class ExpertChecks(OperatorChecks operators)
{
    private sealed record Shape(string Operator, int Experts, int Tokens, int PerToken, int Rows, int Columns, int Group, int Rank);

    private static readonly Shape[] Shapes =
    [
        new(OperatorNames.MatMulW4A8, 4, 5, 2, 96, 160, 32, 8), new(OperatorNames.MatMulW4A8, 3, 4, 1, 33, 75, 25, 3),
        new(OperatorNames.MatMulW4A8, 64, 1, 8, 1024, 2048, 256, 8), new(OperatorNames.MatMulW4A8, 8, 300, 2, 256, 512, 256, 0),
        new(OperatorNames.MatMulW4A8, 8, 50, 2, 256, 528, 256, 3), new(OperatorNames.MatMulW4A8Scaled, 4, 60, 2, 100, 512, 128, 8),
        new(OperatorNames.MatMulW4A8Scaled, 4, 5, 2, 96, 160, 32, 8), new(OperatorNames.MatMulW8A8, 4, 5, 2, 96, 160, 160, 8),
        new(OperatorNames.MatMulW4A16, 4, 5, 2, 96, 160, 32, 0), new(OperatorNames.MatMulW8A16, 2, 3, 1, 7, 13, 13, 0),
    ];

    public void Run(Action<string, bool, string> report)
    {
        foreach (Shape shape in Shapes)
        {
            double error = operators.Difference(
                Model(shape), Inputs(shape), ("y", OrtElementType.Float, [shape.Tokens * shape.PerToken, shape.Rows]));
            // Sums of FP8 products on tensor cores are rounded within a group (docs/hopper.md).
            bool isPacked = shape.Operator is OperatorNames.MatMulW4A8 or OperatorNames.MatMulW4A8Scaled
                && PackedLayout.Supports(shape.Rows, shape.Columns, shape.Group, shape.Operator == OperatorNames.MatMulW4A8Scaled);
            report($"operator Expert{shape}", error <= (isPacked ? 3e-4 : 1e-5), $"{error:E1} from the processor's");
        }
    }

    private static byte[] Model(Shape shape)
    {
        Random random = new(shape.Rows);
        bool isFp8 = shape.Operator is OperatorNames.MatMulW8A8 or OperatorNames.MatMulW8A16;
        bool isScaled = shape.Operator == OperatorNames.MatMulW4A8Scaled;
        int groups = (shape.Columns + shape.Group - 1) / shape.Group;
        long count = (long)shape.Experts * shape.Rows * shape.Columns;
        byte[] codes = new byte[isFp8 ? count : (count + 1) / 2];
        random.NextBytes(codes);
        if (isFp8)
        {
            for (int i = 0; i < codes.Length; i++)
            {
                codes[i] &= 0xBF; // no NaN
            }
        }

        byte[] exponents = [.. Enumerable.Range(0, shape.Experts * shape.Rows * groups).Select(_ => (byte)random.Next(4))];
        byte[] Floats(int length, float scale) =>
            OperatorChecks.Bytes<float>([.. Enumerable.Range(0, length).Select(_ => (random.NextSingle() + 0.1f) * scale)]);
        long experts = shape.Experts, rows = shape.Rows, columns = shape.Columns, rank = shape.Rank;
        string[] branch = shape.Rank > 0 ? ["a", "b"] : [];
        string[] activations = ReadsCodes(shape) ? ["x", "sx"] : ["x"];
        byte[][] constants =
        [
            Onnx.Tensor("w", isFp8 ? Onnx.Float8E4M3FN : Onnx.Float4E2M1, [experts, rows, columns], codes),
            isScaled
                ? Onnx.Tensor("e", Onnx.Float, [experts, rows, groups], Floats(exponents.Length, 0.1f))
                : Onnx.Tensor("e", Onnx.UInt8, [experts, rows, groups], exponents),
            Onnx.Tensor("s", Onnx.Float, [experts, rows], Floats(shape.Experts * shape.Rows, 0.01f)),
            Onnx.Tensor("bias", Onnx.Float, [experts, rows], Floats(shape.Experts * shape.Rows, 1)),
            Onnx.Tensor("a", Onnx.Float, [experts, rank, columns], HalfExact(Floats(shape.Experts * shape.Rank * shape.Columns, 0.05f))),
            Onnx.Tensor("b", Onnx.Float, [experts, rows, rank], HalfExact(Floats(shape.Experts * shape.Rows * shape.Rank, 0.05f))),
        ];
        return Onnx.Model(
            [
                Onnx.Node("zqfp", OperatorNames.ExpertPrefix + shape.Operator,
                    [.. activations, "i", "w", "e", .. isScaled ? (string[])[] : ["s"], "bias", .. branch], ["y"],
                    Onnx.Attribute("group_size", shape.Group), Onnx.Attribute("dtype", Onnx.Float)),
            ],
            [
                Onnx.Value("x", ReadsCodes(shape) ? Onnx.Float8E4M3FN : Onnx.Float16, "m", shape.Columns),
                .. ReadsCodes(shape) ? (byte[][])[Onnx.Value("sx", Onnx.Float, "m", 1)] : [], Onnx.Value("i", Onnx.Int64, "t"),
            ],
            [Onnx.Value("y", Onnx.Float, "t", shape.Rows)], constants);
    }

    private static (string, OrtElementType, long[], byte[])[] Inputs(Shape shape)
    {
        (byte[] codes, float[] scales) = PlainLayer.Tokens(shape.Tokens, shape.Columns);
        byte[] halves = [.. Problem.RandomTokens(shape.Tokens, shape.Columns, seed: 3).SelectMany(x => BitConverter.GetBytes((Half)x))];
        int count = shape.Tokens * shape.PerToken;
        byte[] index = OperatorChecks.Bytes<long>([.. Enumerable.Range(0, count).Select(i => i == 0 ? -1L : i * 7 % shape.Experts)]);
        return
        [
            .. ReadsCodes(shape)
                ? ((string, OrtElementType, long[], byte[])[])
                [
                    ("x", OrtElementType.Float8E4M3FN, [shape.Tokens, shape.Columns], codes),
                    ("sx", OrtElementType.Float, [shape.Tokens, 1], OperatorChecks.Bytes(scales)),
                ]
                : [("x", OrtElementType.Float16, [shape.Tokens, shape.Columns], halves)],
            ("i", OrtElementType.Int64, [count], index),
        ];
    }

    private static bool ReadsCodes(Shape shape) => shape.Operator is not (OperatorNames.MatMulW4A16 or OperatorNames.MatMulW8A16);

    private static byte[] HalfExact(byte[] floats)
    {
        for (int i = 0; i < floats.Length; i += sizeof(float))
        {
            BitConverter.TryWriteBytes(floats.AsSpan(i), (float)(Half)BitConverter.ToSingle(floats, i));
        }

        return floats;
    }
}
