using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>The means of what a stage's layers read and are to give, for layers whose biases are fitted to them.</summary>
/// <param name="Input">Mean of a, the input as the layers will see it.</param>
/// <param name="Shift">Mean of x - a, for layers that are to give W x; null where the stage has none of them.</param>
/// <param name="Outputs">Mean of t by the layer's name, for layers whose targets t were summed themselves.</param>
internal sealed record StageMeans(double[] Input, double[]? Shift, IReadOnlyDictionary<string, double[]> Outputs)
{
    /// <summary>The mean of what a layer's product is to be.</summary>
    /// <param name="layer">The layer's name.</param>
    /// <param name="weights">W [N, K] in the basis of the input.</param>
    public double[] Target(string layer, float[] weights)
    {
        if (Outputs.TryGetValue(layer, out double[]? outputs))
        {
            return outputs;
        }

        double[] exact = [.. Input.Zip(Shift!, (input, shift) => input + shift)];
        return [.. Enumerable.Range(0, weights.Length / exact.Length)
            .Select(row => Product(weights.AsSpan(row * exact.Length, exact.Length), exact))];
    }

    /// <summary>Moves a layer's bias so that the mean of its output is that of its target.</summary>
    /// <param name="bias">The bias [N].</param>
    /// <param name="target">As <see cref="Target"/> gives it for the float weights.</param>
    /// <param name="quantized">The layer quantized.</param>
    public float[] Fit(float[] bias, double[] target, QuantizedLayer quantized)
    {
        float[] row = new float[Input.Length];
        float[] fitted = new float[bias.Length];
        for (int i = 0; i < bias.Length; i++)
        {
            quantized.Weights.DequantizeRow(i, row);
            quantized.LowRank?.AddToRow(i, row);
            fitted[i] = (float)(bias[i] + target[i] - Product(row, Input));
        }

        return fitted;
    }

    private static double Product(ReadOnlySpan<float> row, double[] mean)
    {
        double sum = 0;
        for (int i = 0; i < mean.Length; i++)
        {
            sum += row[i] * mean[i];
        }

        return sum;
    }
}
