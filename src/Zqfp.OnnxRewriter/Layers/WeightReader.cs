using Zqfp.OnnxRewriter.Graphs;
using Zqfp.OnnxRewriter.Tensors;

namespace Zqfp.OnnxRewriter.Layers;

/// <summary>Reads a linear layer's weight as numbers.</summary>
public static class WeightReader
{
    /// <summary>Rows of the stored matrix that are turned at once: a strip of them stays in cache.</summary>
    private const int Strip = 64;

    /// <summary>The weight as float32 [N, K], row-major, whatever type and order it is stored in.</summary>
    /// <exception cref="ModelException">As <see cref="OnnxFile.Read"/>.</exception>
    public static float[] Read(OnnxFile file, GraphIndex graph, LinearLayer layer)
    {
        TensorData data = file.Read(graph.Initializer(layer.Weight)!);
        float[] weight = new float[(long)layer.OutFeatures * layer.InFeatures];
        if (!layer.StoredInputMajor)
        {
            data.ReadFloats(0, weight);
            return weight;
        }

        float[] strip = new float[(long)Strip * layer.OutFeatures];
        for (int k = 0; k < layer.InFeatures; k += Strip)
        {
            int rows = Math.Min(Strip, layer.InFeatures - k);
            data.ReadFloats((long)k * layer.OutFeatures, strip.AsSpan(0, rows * layer.OutFeatures));
            for (int n = 0; n < layer.OutFeatures; n++)
            {
                Span<float> target = weight.AsSpan((int)(((long)n * layer.InFeatures) + k), rows);
                for (int i = 0; i < rows; i++)
                {
                    target[i] = strip[(i * layer.OutFeatures) + n];
                }
            }
        }

        return weight;
    }
}
