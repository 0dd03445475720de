using Zqfp.Tests;

namespace Zqfp.GpuBench;

/// <summary>A layer of random weights as a model of one node, of any shape the operators' contract allows.</summary>
internal sealed class PlainLayer(int rows, int columns, int group, int rank, bool bias, string op)
{
    private readonly Random _random = new(rows ^ columns);

    /// <summary>Whether tokens come as codes with scales.</summary>
    public bool ReadsCodes => op is not (OperatorNames.MatMulW4A16 or OperatorNames.MatMulW8A16);

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

    /// <summary>The model.</summary>
    /// <param name="halfOutput">Whether Y is float16.</param>
    /// <param name="projected">Whether A x is an input.</param>
    public byte[] Model(bool halfOutput, bool projected = false)
    {
        bool isWide = op is OperatorNames.MatMulW8A8 or OperatorNames.MatMulW8A16, floatScales = op == OperatorNames.MatMulW4A8Scaled;
        int groups = (columns + group - 1) / group;
        byte[] codes = new byte[isWide ? rows * columns : ((rows * columns) + 1) / 2];
        byte[] exponents = new byte[rows * groups];
        _random.NextBytes(codes);
        if (isWide)
        {
            // At most 3.75, and none is NaN.
            codes = Array.ConvertAll(codes, code => (byte)(code & 0xC7));
        }

        for (int i = 0; i < exponents.Length; i++)
        {
            exponents[i] = (byte)_random.Next(5);
        }

        List<byte[]> constants = [Onnx.Tensor("w", isWide ? Onnx.Float8E4M3FN : Onnx.Float4E2M1, [rows, columns], codes)];
        List<string> inputs = ReadsCodes ? ["x", "sx", "w"] : ["x", "w"];
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
            inputs.AddRange(projected ? ["", "b", "z"] : ["a", "b"]);
        }

        int type = halfOutput ? Onnx.Float16 : Onnx.Float;
        return Onnx.Model(
            [Onnx.Node("zqfp", op, [.. inputs], ["y"], Onnx.Attribute(OperatorNames.GroupSize, group),
                Onnx.Attribute(OperatorNames.OutputType, type))],
            [
                Onnx.Value("x", ReadsCodes ? Onnx.Float8E4M3FN : Onnx.Float16, "m", columns),
                .. ReadsCodes ? [Onnx.Value("sx", Onnx.Float, "m", 1)] : (byte[][])[],
                .. projected ? [Onnx.Value("z", Onnx.Float, "m", rank)] : (byte[][])[],
            ],
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
