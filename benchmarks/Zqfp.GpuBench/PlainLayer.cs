using Zqfp.Tests;

namespace Zqfp.GpuBench;

/// <summary>A layer of random weights as a model of one node, of any shape the operators' contract allows.</summary>
internal sealed class PlainLayer(int rows, int columns, int group, int rank, bool bias, bool floatScales)
{
    private readonly Random _random = new(rows ^ columns);

    /// <summary>The operator's name.</summary>
    public string Operator => floatScales ? OperatorNames.MatMulW4A8Scaled : OperatorNames.MatMulW4A8;

    /// <summary>Codes without NaN, and scales.</summary>
    public static (byte[] Codes, float[] Scales) Tokens(int count, int columns)
    {
        float[] x = Problem.RandomTokens(count, columns, seed: count);
        byte[] codes = new byte[x.Length];
        float[] scales = new float[count];
        for (int token = 0; token < count; token++)
        {
            scales[token] = 1f / (token + 1);
            for (int i = token * columns; i < (token + 1) * columns; i++)
            {
                codes[i] = E4M3.FromDouble(x[i] * 20);
            }
        }

        return (codes, scales);
    }

    public byte[] Model(bool halfOutput)
    {
        int groups = (columns + group - 1) / group;
        byte[] codes = new byte[((rows * columns) + 1) / 2];
        byte[] exponents = new byte[rows * groups];
        _random.NextBytes(codes);
        for (int i = 0; i < exponents.Length; i++)
        {
            exponents[i] = (byte)_random.Next(5);
        }

        List<byte[]> constants = [Onnx.Tensor("w", Onnx.Float4E2M1, [rows, columns], codes)];
        List<string> inputs = ["x", "sx", "w"];
        if (floatScales)
        {
            constants.Add(Onnx.Tensor("scales", Onnx.Float, [rows, groups], Onnx.Raw(Floats(rows * groups, 0.01f, 0.02f))));
            inputs.Add("scales");
        }
        else
        {
            constants.Add(Onnx.Tensor("e", Onnx.UInt8, [rows, groups], exponents));
            constants.Add(Onnx.Tensor("s", Onnx.Float, [rows], Onnx.Raw(Floats(rows, 0.01f, 0.02f))));
            inputs.AddRange(["e", "s"]);
        }

        inputs.Add(bias ? "bias" : "");
        if (bias)
        {
            constants.Add(Onnx.Tensor("bias", Onnx.Float, [rows], Onnx.Raw(Floats(rows, -1, 1))));
        }

        if (rank > 0)
        {
            constants.Add(Onnx.Tensor("a", Onnx.Float, [rank, columns], Onnx.Raw(Floats(rank * columns, -0.05f, 0.05f))));
            constants.Add(Onnx.Tensor("b", Onnx.Float, [rows, rank], Onnx.Raw(Floats(rows * rank, -0.05f, 0.05f))));
            inputs.AddRange(["a", "b"]);
        }

        int type = halfOutput ? Onnx.Float16 : Onnx.Float;
        return Onnx.Model(
            [Onnx.Node("zqfp", Operator, [.. inputs], ["y"], Onnx.Attribute(OperatorNames.GroupSize, group),
                Onnx.Attribute(OperatorNames.OutputType, type))],
            [Onnx.Value("x", Onnx.Float8E4M3FN, "m", columns), Onnx.Value("sx", Onnx.Float, "m", 1)],
            [Onnx.Value("y", type, "m", rows)],
            [.. constants]);
    }

    /// <summary>Floats that float16 holds, as the low-rank factors on the device are.</summary>
    private float[] Floats(int count, float least, float most)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (float)(Half)(least + (_random.NextSingle() * (most - least)));
        }

        return values;
    }
}
