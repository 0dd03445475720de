using System.Runtime.Intrinsics;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

/// <summary>Norms and gates that quantize what they make, against the same in steps.</summary>
public sealed class FusedQuantizationTests
{
    [Theory]
    [InlineData(1, 64, 0, false)]
    [InlineData(5, 75, 0, false)]
    [InlineData(3, 96, 32, false)]
    [InlineData(4, 301, 0, true)]
    [InlineData(2, 128, 64, true)]
    [InlineData(0, 16, 0, false)]
    public void A_norm_of_a_sum_gives_what_its_definition_gives(int tokens, int columns, int rotation, bool isCentered)
    {
        Norm<float>(tokens, columns, rotation, isCentered);
        Norm<Half>(tokens, columns, rotation, isCentered);
    }

    [Theory]
    [InlineData(1, 64, 0, true)]
    [InlineData(5, 75, 0, false)]
    [InlineData(3, 96, 32, true)]
    [InlineData(0, 16, 0, true)]
    public void A_gate_gives_what_its_definition_gives(int tokens, int columns, int rotation, bool isPacked)
    {
        Gate<float>(tokens, columns, rotation, isPacked);
        Gate<Half>(tokens, columns, rotation, isPacked);
    }

    public static TheoryData<int, int, int, int, bool> Activations
    {
        get
        {
            var data = new TheoryData<int, int, int, int, bool>();
            foreach (int activation in Enum.GetValues<TokenActivation>().Select(one => (int)one))
            {
                data.Add(activation, 1, 64, 0, false);
                data.Add(activation, 5, 75, 0, true);
                data.Add(activation, 3, 96, 32, false);
                data.Add(activation, 0, 16, 0, true);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Activations))]
    public void An_activation_gives_what_its_definition_gives(int activation, int tokens, int columns, int rotation, bool isPacked)
    {
        Activate<float>((TokenActivation)activation, tokens, columns, rotation, isGated: false, isPacked: false);
        Activate<Half>((TokenActivation)activation, tokens, columns, rotation, isGated: true, isPacked);
    }

    [Fact]
    public void Exponentials_are_right_to_a_unit_in_the_last_place()
    {
        float[] x = [.. Enumerable.Range(-8733, 8733 + 8837).Select(i => i / 100f), 0, -0f, 1e-30f, 0.34657359f, -0.34657359f, 5e-8f];
        foreach (float value in x)
        {
            double expected = Math.Exp(value);
            float made = Exponential.Of(Vector256.Create(value))[7];
            Assert.InRange(Math.Abs(made - expected), 0, MathF.BitIncrement((float)expected) - (float)expected);
        }

        Vector256<float> limits = Exponential.Of(Vector256.Create(
            float.NaN, float.PositiveInfinity, 89, float.MaxValue, float.NegativeInfinity, float.MinValue, -88, -200));
        Assert.Equal([float.NaN, float.PositiveInfinity, float.PositiveInfinity, float.PositiveInfinity], Values(limits).Take(4));
        Assert.All(Values(limits).Skip(4), value => Assert.InRange(value, 0, 2e-38f));

        static float[] Values(Vector256<float> vector) => [.. Enumerable.Range(0, 8).Select(i => vector[i])];
    }

    [Fact]
    public unsafe void Activations_are_right_to_a_few_units_in_the_last_place_everywhere()
    {
        float[] x = [.. Enumerable.Range(-3000, 6001).Select(i => i / 250f), -100, 100, 1e-8f, -1e-20f, 0];
        foreach (TokenActivation activation in Enum.GetValues<TokenActivation>())
        {
            float[] made = [.. x];
            fixed (float* row = made)
            {
                TokenActivations.Apply(activation, row, null, made.Length);
            }

            for (int i = 0; i < x.Length; i++)
            {
                double expected = Expected(activation, x[i]);

                // Where 1 + erf cancels, the error is that of a number near 1, times x.
                Assert.InRange(Math.Abs(made[i] - expected), 0, (8e-7 * Math.Abs(expected)) + (1.2e-7 * Math.Abs(x[i])));
            }
        }
    }

    [Theory]
    [InlineData(-1, 0, false, "activation must be 0 to 4; it is -1")]
    [InlineData(5, 0, false, "activation must be 0 to 4; it is 5")]
    [InlineData(1, 2, false, "packed must be 0, or 1")]
    [InlineData(1, 1, true, "packed must be 0, or 1 without the input up")]
    public void A_rule_about_an_activation_is_named(int activation, int packed, bool hasUp, string rule)
    {
        (string, float[], long[])[] inputs =
            [("x", new float[4], [1, 4]), .. hasUp ? [("up", new float[4], [1, 4])] : ((string, float[], long[])[])[]];
        var e = Assert.Throws<OnnxRuntimeException>(() => Run<float>(
            OperatorNames.ActivateQuantizeTokens, inputs, ["q", "s"], 1, 4,
            Onnx.Attribute("activation", activation), Onnx.Attribute("packed", packed)));
        Assert.Contains("ZQFP4006", e.Message, StringComparison.Ordinal);
        Assert.Contains(rule, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NaN_stays_in_its_token()
    {
        float[] x = Values<float>(3 * 20, 1);
        x[33] = float.NaN;
        (_, float[] scales, _) = Run<float>(
            OperatorNames.NormQuantizeTokens, [("x", x, [3, 20]), ("gain", Values<float>(20, 2), [20])], ["q", "s"], 3, 20);
        Assert.Equal([false, true, false], scales.Select(float.IsNaN));
    }

    [Theory]
    [InlineData("epsilon", "must not be negative")]
    [InlineData("centered", "must be 0 or 1")]
    public void A_rule_about_an_attribute_is_named(string attribute, string rule)
    {
        byte[] value = attribute == "epsilon" ? Onnx.Attribute(attribute, -1f) : Onnx.Attribute(attribute, 2);
        var e = Assert.Throws<OnnxRuntimeException>(() => Run<float>(
            OperatorNames.NormQuantizeTokens, [("x", new float[4], [1, 4]), ("gain", new float[4], [4])], ["q", "s"], 1, 4, value));
        Assert.Contains("ZQFP4006", e.Message, StringComparison.Ordinal);
        Assert.Contains(rule, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_named()
    {
        var gain = Assert.Throws<OnnxRuntimeException>(() => Run<float>(
            OperatorNames.NormQuantizeTokens, [("x", new float[8], [2, 4]), ("gain", new float[5], [5])], ["q", "s"], 2, 4));
        Assert.Contains("gain must be [K] = [4]", gain.Message, StringComparison.Ordinal);
        var odd = Assert.Throws<OnnxRuntimeException>(() => Run<float>(
            OperatorNames.GateQuantizeTokens, [("gate", new float[10], [2, 5])], ["q", "s"], 2, 2));
        Assert.Contains("must be even", odd.Message, StringComparison.Ordinal);
    }

    private static void Norm<T>(int tokens, int columns, int rotation, bool isCentered)
        where T : unmanaged
    {
        const float Epsilon = 1e-3f;
        T[] x = Values<T>(tokens * columns, 1), skip = Values<T>(tokens * columns, 2);
        T[] gain = Values<T>(columns, 3), shift = Values<T>(columns, 4);
        (string, T[], long[])[] inputs =
        [
            ("x", x, [tokens, columns]), ("gain", gain, [columns]), ("skip", skip, [tokens, columns]),
            .. isCentered ? [("shift", shift, [columns])] : ((string, T[], long[])[])[],
        ];
        (byte[] codes, float[] scales, T[] sum) = Run<T>(OperatorNames.NormQuantizeTokens, inputs, ["q", "s", "sum"], tokens, columns,
            Onnx.Attribute("epsilon", Epsilon), Onnx.Attribute("centered", isCentered ? 1 : 0), Onnx.Attribute("rotation", rotation));
        T[] expectedSum = [.. x.Zip(skip, (a, b) => Round<T>(Number(a) + Number(b)))];
        Assert.Equal(expectedSum, sum);
        T[] normal = new T[x.Length];
        for (int token = 0; token < tokens; token++)
        {
            double[] row = [.. expectedSum[(token * columns)..((token + 1) * columns)].Select(value => (double)Number(value))];
            double mean = isCentered ? row.Average() : 0;
            double factor = 1 / Math.Sqrt(row.Average(value => (value - mean) * (value - mean)) + Epsilon);
            for (int i = 0; i < columns; i++)
            {
                double shifted = isCentered ? Number(shift[i]) : 0;
                normal[(token * columns) + i] = Round<T>((float)(((row[i] - mean) * factor * Number(gain[i])) + shifted));
            }
        }

        Near<T>(normal, tokens, columns, rotation, codes, scales);
    }

    private static void Gate<T>(int tokens, int columns, int rotation, bool isPacked)
        where T : unmanaged
    {
        T[] gate = Values<T>(tokens * columns, 1), up = Values<T>(tokens * columns, 2);
        T[] packed =
        [
            .. Enumerable.Range(0, tokens).SelectMany(token =>
                gate[(token * columns)..((token + 1) * columns)].Concat(up[(token * columns)..((token + 1) * columns)]))
        ];
        (string, T[], long[])[] inputs = isPacked
            ? [("gate", packed, [tokens, 2 * columns])]
            : [("gate", gate, [tokens, columns]), ("up", up, [tokens, columns])];
        (byte[] codes, float[] scales, _) = Run<T>(
            OperatorNames.GateQuantizeTokens, inputs, ["q", "s"], tokens, columns, Onnx.Attribute("rotation", rotation));
        T[] gated = [.. gate.Zip(up, (g, u) => Round<T>((float)(Number(g) / (1 + Math.Exp(-Number(g))) * Number(u))))];
        Near<T>(gated, tokens, columns, rotation, codes, scales);
    }

    private static void Activate<T>(TokenActivation activation, int tokens, int columns, int rotation, bool isGated, bool isPacked)
        where T : unmanaged
    {
        T[] x = Values<T>(tokens * columns, 1), up = Values<T>(tokens * columns, 2);
        T[] packed =
        [
            .. Enumerable.Range(0, tokens).SelectMany(token =>
                x[(token * columns)..((token + 1) * columns)].Concat(up[(token * columns)..((token + 1) * columns)]))
        ];
        (string, T[], long[])[] inputs = isPacked ? [("x", packed, [tokens, 2 * columns])]
            : isGated ? [("x", x, [tokens, columns]), ("up", up, [tokens, columns])]
            : [("x", x, [tokens, columns])];
        (byte[] codes, float[] scales, _) = Run<T>(
            OperatorNames.ActivateQuantizeTokens, inputs, ["q", "s"], tokens, columns, Onnx.Attribute("rotation", rotation),
            Onnx.Attribute("activation", (int)activation), Onnx.Attribute("packed", isPacked ? 1 : 0));
        T[] made = [.. x.Zip(up, (a, b) => Round<T>((float)(Expected(activation, Number(a)) * (isGated ? Number(b) : 1))))];
        Near<T>(made, tokens, columns, rotation, codes, scales);
    }

    private static double Expected(TokenActivation activation, double x) => activation switch
    {
        TokenActivation.Silu => x / (1 + Math.Exp(-x)),
        TokenActivation.Gelu => x * (1 + Erf(x / Math.Sqrt(2))) / 2,
        TokenActivation.TanhGelu => x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))) / 2,
        TokenActivation.QuickGelu => x / (1 + Math.Exp(-1.702 * x)),
        _ => Math.Max(x, 0),
    };

    /// <summary>By its series: 2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1 3 .. (2n+1)).</summary>
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 6)
        {
            return Math.Sign(x);
        }

        double term = x, sum = x;
        for (int n = 1; n < 200; n++)
        {
            term *= 2 * x * x / ((2 * n) + 1);
            sum += term;
        }

        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    /// <summary>Codes are those of QuantizeTokens but where a last bit before it decides; then they are the next ones.</summary>
    private static void Near<T>(T[] values, int tokens, int columns, int rotation, byte[] codes, float[] scales)
        where T : unmanaged
    {
        (byte[] expected, float[] expectedScales, _) = Run<T>(
            OperatorNames.QuantizeTokens, [("x", values, [tokens, columns])], ["q", "s"], tokens, columns,
            Onnx.Attribute("rotation", rotation));
        Assert.All(scales.Zip(expectedScales), pair => Assert.Equal(1, pair.First / pair.Second, 2e-3));
        Assert.All(codes.Zip(expected), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 1));
        Assert.InRange(codes.Zip(expected).Count(pair => pair.First != pair.Second), 0, 1 + (codes.Length / 50));
    }

    private static T[] Values<T>(int count, int seed)
        where T : unmanaged
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => Round<T>((float)((random.NextDouble() - 0.4) * 6)))];
    }

    private static T Round<T>(float value)
        where T : unmanaged => typeof(T) == typeof(Half) ? (T)(object)(Half)value : (T)(object)value;

    private static float Number<T>(T value)
        where T : unmanaged => value is Half half ? (float)half : (float)(object)value;

    /// <summary>Runs one node. Codes come out through a Cast to float, whose bytes the codes are found from.</summary>
    private static (byte[] Codes, float[] Scales, T[] Sum) Run<T>(string name, (string Name, T[] Values, long[] Shape)[] inputs,
        string[] outputs, int tokens, int columns, params byte[][] attributes)
        where T : unmanaged
    {
        int type = Onnx.TypeOf<T>();
        byte[] model = Onnx.Model(
            [
                Onnx.Node("zqfp", name, [.. inputs.Select(input => input.Name)], outputs, attributes),
                Onnx.Node("", "Cast", ["q"], ["values"], Onnx.Attribute("to", Onnx.Float)),
            ],
            [.. inputs.Select(input => Onnx.Value(input.Name, type, [.. input.Shape.Select(size => (object)size)]))],
            [Onnx.Value("values", Onnx.Float, tokens, columns), .. outputs.Skip(1).Select(output =>
                Onnx.Value(output, output == "s" ? Onnx.Float : type, tokens, output == "s" ? 1 : columns))]);
        using SessionOptions options = TestSessions.Quiet().AddZqfpOperators();
        using var session = new InferenceSession(model, options);
        OrtValue[] given = [.. inputs.Select(input => TestSessions.Tensor(input.Values, input.Shape))];
        OrtValue[] made = session.Run([.. inputs.Select(input => input.Name)], given, ["values", .. outputs.Skip(1)]);
        byte[] codes = [.. made[0].GetTensorDataAsSpan<float>().ToArray().Select(value => (byte)Reference.NearestFp8(value))];
        float[] scales = made[1].GetTensorDataAsSpan<float>().ToArray();
        T[] sum = outputs.Length > 2 ? MemoryMarshal.Cast<byte, T>(made[2].GetTensorMutableRawData()).ToArray() : [];
        Array.ForEach(given, value => value.Dispose());
        Array.ForEach(made, value => value.Dispose());
        return (codes, scales, sum);
    }
}
