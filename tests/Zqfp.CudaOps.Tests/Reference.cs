using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

/// <summary>The operators' definitions in float64, from the specification and from nothing of the implementation.</summary>
internal static class Reference
{
    private static readonly double[] E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

    public static double Fp4(int code) => (code & 8) != 0 ? -E2M1[code & 7] : E2M1[code & 7];

    public static double Fp8(int code)
    {
        int exponent = (code >> 3) & 15;
        double magnitude = (code & 127) == 127 ? double.NaN
            : exponent == 0 ? (code & 7) * Math.Pow(2, -9)
            : (1 + ((code & 7) / 8.0)) * Math.Pow(2, exponent - 7);
        return (code & 128) != 0 ? -magnitude : magnitude;
    }

    /// <summary>The nearest E4M3 code, of two equally near the one with an even mantissa; saturating.</summary>
    public static int NearestFp8(double value)
    {
        if (double.IsNaN(value))
        {
            return 127;
        }
        int best = 0;
        for (int code = 1; code < 127; code++)
        {
            double nearer = Math.Abs(Fp8(code) - Math.Abs(value)) - Math.Abs(Fp8(best) - Math.Abs(value));
            if (nearer < 0 || (nearer == 0 && code % 2 == 0))
            {
                best = code;
            }
        }
        return double.IsNegative(value) ? best | 128 : best;
    }
}

/// <summary>A matrix product with random content: its definition, and a model of one node that should give it.</summary>
internal sealed class Product
{
    public required string Operator { get; init; }
    public required int M { get; init; }
    public required int N { get; init; }
    public required int K { get; init; }
    public required int GroupSize { get; init; }
    public int Rank { get; init; }
    public bool Bias { get; init; }
    public bool HalfOutput { get; init; }

    /// <summary>X, where it is not quantized, is float16.</summary>
    public bool HalfInput { get; init; }

    /// <summary>Bias and low-rank factors are float16.</summary>
    public bool HalfConstants { get; init; }
    public int WeightType { get; init; } = Onnx.Float4E2M1;
    public byte[] X { get; private set; } = [];
    public float[] FloatX { get; private set; } = [];
    public float[] TokenScales { get; private set; } = [];
    public byte[] W { get; private set; } = [];
    public byte[] E { get; private set; } = [];
    public float[] S { get; private set; } = [];
    public float[] Scales { get; private set; } = [];
    public float[] BiasValues { get; private set; } = [];
    public float[] A { get; private set; } = [];
    public float[] B { get; private set; } = [];

    public int Groups => (K + GroupSize - 1) / GroupSize;

    private bool Scaled => Operator == OperatorNames.MatMulW4A8Scaled;

    private bool Fp8Weights => Operator is OperatorNames.MatMulW8A8 or OperatorNames.MatMulW8A16;

    public bool QuantizedActivations => Operator is not (OperatorNames.MatMulW4A16 or OperatorNames.MatMulW8A16);

    public Product Fill(int seed, int largestExponent = 12)
    {
        var random = new Random(seed);
        byte[] Codes(int count)
        {
            byte[] codes = new byte[count];
            random.NextBytes(codes);
            return [.. codes.Select(code => (code & 127) == 127 ? (byte)0 : code)];
        }
        float[] Floats(int count, double scale) =>
            [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() - 0.5) * scale))];
        X = Codes(M * K);
        FloatX = Rounded(Floats(M * K, 8), HalfInput);
        TokenScales = [.. Floats(M, 1).Select(scale => Math.Abs(scale) + 0.01f)];
        W = Fp8Weights ? Codes(N * K) : new byte[((N * K) + 1) / 2];
        if (!Fp8Weights)
        {
            random.NextBytes(W);
        }
        E = [.. Enumerable.Range(0, N * Groups).Select(_ => (byte)random.Next(largestExponent + 1))];
        S = [.. Floats(N, 1).Select(scale => Math.Abs(scale) + 0.01f)];
        Scales = [.. Floats(N * Groups, 1).Select(scale => Math.Abs(scale) + 0.01f)];
        BiasValues = Rounded(Floats(N, 4), HalfConstants);
        A = Rounded(Floats(Rank * K, 0.2), HalfConstants);
        B = Rounded(Floats(N * Rank, 0.2), HalfConstants);
        return this;
    }

    public double Activation(int m, int k) => QuantizedActivations ? Reference.Fp8(X[(m * K) + k]) : FloatX[(m * K) + k];

    public double Weight(int n, int k)
    {
        int index = (n * K) + k;
        int group = (n * Groups) + (k / GroupSize);
        double code = Fp8Weights ? Reference.Fp8(W[index]) : Reference.Fp4(W[index / 2] >> (4 * (index % 2)));
        return code * (Scaled ? Scales[group] : S[n] * Math.Pow(2, -E[group]));
    }

    /// <summary>The value by definition, and the sum of the magnitudes of its terms, to which rounding errors are relative.</summary>
    public (double Value, double Magnitude) Expected(int m, int n)
    {
        double sum = 0, magnitude = 0;
        for (int k = 0; k < K; k++)
        {
            double term = Activation(m, k) * Weight(n, k);
            sum += term;
            magnitude += Math.Abs(term);
        }
        for (int r = 0; r < Rank; r++)
        {
            double projected = 0, projectedMagnitude = 0;
            for (int k = 0; k < K; k++)
            {
                projected += A[(r * K) + k] * Activation(m, k);
                projectedMagnitude += Math.Abs(A[(r * K) + k] * Activation(m, k));
            }
            sum += B[(n * Rank) + r] * projected;
            magnitude += Math.Abs(B[(n * Rank) + r]) * projectedMagnitude;
        }
        double scale = QuantizedActivations ? TokenScales[m] : 1;
        double bias = Bias ? BiasValues[n] : 0;
        return ((scale * sum) + bias, (scale * magnitude) + Math.Abs(bias));
    }

    public byte[] Model(bool batched = false)
    {
        object[] leading = batched ? ["b", "s"] : ["m"];
        var initializers = new List<byte[]>
        {
            Onnx.Tensor("w", Fp8Weights ? Onnx.Float8E4M3FN : WeightType, [N, K], W),
        };
        var inputs = new List<string>(QuantizedActivations ? ["x", "sx", "w"] : ["x", "w"]);
        if (Scaled)
        {
            initializers.Add(Onnx.Tensor("scales", Onnx.Float, [N, Groups], Onnx.Raw(Scales)));
            inputs.Add("scales");
        }
        else
        {
            initializers.Add(Onnx.Tensor("e", Onnx.UInt8, [N, Groups], E));
            initializers.Add(Onnx.Tensor("s", Onnx.Float, [N], Onnx.Raw(S)));
            inputs.AddRange(["e", "s"]);
        }
        inputs.Add(Bias ? "bias" : "");
        if (Bias)
        {
            initializers.Add(Constant("bias", [N], BiasValues));
        }
        if (Rank > 0)
        {
            initializers.Add(Constant("a", [Rank, K], A));
            initializers.Add(Constant("b", [N, Rank], B));
            inputs.AddRange(["a", "b"]);
        }
        byte[][] attributes = HalfOutput
            ? [Onnx.Attribute("group_size", GroupSize), Onnx.Attribute("dtype", Onnx.Float16)]
            : [Onnx.Attribute("group_size", GroupSize)];
        // The package takes no FP8 inputs: floats that FP8 represents exactly are cast on the way.
        byte[] product = Onnx.Node("zqfp", Operator, [.. inputs], ["y"], attributes);
        return Onnx.Model(
            QuantizedActivations ? [Onnx.Node("", "Cast", ["xf"], ["x"], Onnx.Attribute("to", Onnx.Float8E4M3FN)), product] : [product],
            QuantizedActivations
                ? [Onnx.Value("xf", Onnx.Float, [.. leading, K]), Onnx.Value("sx", Onnx.Float, [.. leading, 1])]
                : [Onnx.Value("x", HalfInput ? Onnx.Float16 : Onnx.Float, [.. leading, K])],
            [Onnx.Value("y", HalfOutput ? Onnx.Float16 : Onnx.Float, [.. leading, N])],
            [.. initializers]);
    }

    public float[] Run(InferenceSession session, params long[] leading)
    {
        leading = leading.Length > 0 ? leading : [M];
        using OrtValue x = HalfInput && !QuantizedActivations
            ? OrtValue.CreateTensorValueFromMemory<Float16>([.. FloatX.Select(value => (Float16)value)], [.. leading, K])
            : OrtValue.CreateTensorValueFromMemory<float>(QuantizedActivations ? [.. X.Select(code => (float)Reference.Fp8(code))] : FloatX,
                [.. leading, K]);
        using var scales = OrtValue.CreateTensorValueFromMemory(TokenScales, [.. leading, 1]);
        using OrtValue y = session.Run(
            QuantizedActivations ? ["xf", "sx"] : ["x"], QuantizedActivations ? [x, scales] : [x], ["y"])[0];
        Assert.Equal([.. leading, N], y.GetTensorTypeAndShape().Shape);
        return HalfOutput ? [.. y.Halves().ToArray().Select(value => (float)value)] : y.GetTensorDataAsSpan<float>().ToArray();
    }

    private byte[] Constant(string name, long[] shape, float[] values) => HalfConstants
        ? Onnx.Tensor(name, Onnx.Float16, shape, MemoryMarshal.AsBytes<Half>([.. values.Select(value => (Half)value)]).ToArray())
        : Onnx.Tensor(name, Onnx.Float, shape, Onnx.Raw(values));

    private static float[] Rounded(float[] values, bool toHalf) => toHalf ? [.. values.Select(value => (float)(Half)value)] : values;
}
