using System.Text.Json;

namespace Zqfp.Numerics.Tests;

/// <summary>Against an independent float32 implementation of the recipe: two layers, two group sizes, six constraints.</summary>
public sealed class GoldenLayerTests(ITestOutputHelper output)
{
    private const string Layers = "golden/layers.safetensors";
    private const string Losses = "golden/layer_loss.json";

    public static TheoryData<string, int, string> Combinations()
    {
        var data = new TheoryData<string, int, string>();
        foreach (string layer in new[] { "q_proj", "down_proj" })
        {
            foreach (int groupSize in new[] { 256, 64 })
            {
                foreach (string constraint in new[] { "none", "m1n", "m1c", "m2n", "m2f", "m2c" })
                {
                    data.Add(layer, groupSize, constraint);
                }
            }
        }

        return data;
    }

    [ReferenceTheory(Layers)]
    [MemberData(nameof(Combinations))]
    public void Scales_and_rtn_codes_are_those_of_the_reference(string layer, int groupSize, string constraint)
    {
        var file = new Safetensors(Repository.Reference(Layers));
        (float[] weights, int rows, int columns) = file[$"{layer}.W"];
        string key = $"{layer}.fp4.g{groupSize}.{constraint}";
        QuantizedLayer result = LayerQuantizer.Quantize(
            weights, rows, columns, null, Options(groupSize, constraint, QuantizationMethod.Rtn));

        float[] scales = file[$"{key}.scale"].Values;
        for (int i = 0; i < scales.Length; i++)
        {
            float scale = result.Weights.Scale(i / result.Weights.Groups, i % result.Weights.Groups);
            Assert.InRange(Math.Abs(BitConverter.SingleToInt32Bits(scale) - BitConverter.SingleToInt32Bits(scales[i])), 0, 1);
        }

        Assert.Equal(0, DifferentCodes(result.Weights, file[$"{key}.rtn"].Values));
    }

    [ReferenceTheory(Layers, Losses)]
    [MemberData(nameof(Combinations))]
    public void Gptq_reaches_the_reference_loss_with_nearly_the_same_codes(string layer, int groupSize, string constraint)
    {
        var file = new Safetensors(Repository.Reference(Layers));
        (float[] weights, int rows, int columns) = file[$"{layer}.W"];
        string key = $"{layer}.fp4.g{groupSize}.{constraint}";
        using Hessian hessian = Hessian.FromDense(file[$"{layer}.H"].Values, columns);
        QuantizedLayer result = LayerQuantizer.Quantize(
            weights, rows, columns, hessian, Options(groupSize, constraint, QuantizationMethod.Gptq));
        double rtn = LayerQuantizer.Quantize(weights, rows, columns, hessian, Options(groupSize, constraint, QuantizationMethod.Rtn)).Loss;

        JsonElement losses = JsonDocument.Parse(File.ReadAllBytes(Repository.Reference(Losses))).RootElement.GetProperty(key);
        double expected = losses.GetProperty("gptq").GetDouble();
        int different = DifferentCodes(result.Weights, file[$"{key}.gptq"].Values);
        output.WriteLine($"{key}: loss {result.Loss:g7} expected {expected:g7}, rtn {rtn:g7} expected "
            + $"{losses.GetProperty("rtn").GetDouble():g7}, codes different {100.0 * different / weights.Length:f3} %");
        Assert.InRange(rtn / losses.GetProperty("rtn").GetDouble(), 0.9999, 1.0001);
        Assert.InRange(result.Loss / expected, 0.999, 1.001);
        Assert.InRange(different, 0, weights.Length / 1000);
        Assert.InRange(LayerQuantizer.Loss(weights, result.Weights, null, hessian) / result.Loss, 0.9999, 1.0001);
    }

    internal static QuantizationOptions Options(int groupSize, string constraint, QuantizationMethod method) => new()
    {
        GroupSize = groupSize,
        Constraint = constraint[..2] switch { "m1" => ScaleConstraint.M1, "m2" => ScaleConstraint.M2, _ => ScaleConstraint.None },
        Rounding = constraint[^1] switch { 'c' => PowerRounding.Ceil, 'f' => PowerRounding.Floor, _ => PowerRounding.Nearest },
        Method = method,
        Rank = 0,
    };

    // Values are compared through their codes: the reference's scale may differ by an ulp, and -0 equals 0.
    private static int DifferentCodes(QuantizedMatrix matrix, float[] expected)
    {
        float[] actual = new float[expected.Length];
        matrix.Dequantize(actual);
        int different = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            float scale = matrix.Scale(i / matrix.Columns, i % matrix.Columns / matrix.GroupSize);
            if (matrix.Format.Round(actual[i] / scale) != matrix.Format.Round(expected[i] / scale))
            {
                different++;
            }
        }

        return different;
    }
}
