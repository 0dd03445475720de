namespace Zqfp.OnnxRewriter;

/// <summary>Reads a linear layer's weight as numbers.</summary>
internal static class WeightReader
{
    /// <summary>Rows of the stored matrix that are turned at once: a strip of them stays in cache.</summary>
    private const int Strip = 64;

    /// <summary>What a layer adds to its product, [N]; zeros where it has no bias.</summary>
    public static float[] ReadBias(OnnxFile file, GraphIndex graph, LinearLayer layer)
    {
        float[] bias = new float[layer.OutFeatures];
        if (layer.Bias is { } name)
        {
            file.Read(graph.Initializer(name)!).ReadFloats(0, bias);
        }

        return bias;
    }

    /// <summary>The weight as float32 [N, K], row-major, whatever type and order it is stored in.</summary>
    /// <exception cref="ZqfpException">As <see cref="OnnxFile.Read"/>. ZQFP1013: it has 2^31 elements or more.</exception>
    public static float[] Read(OnnxFile file, LinearLayer layer)
    {
        long count = (long)layer.OutFeatures * layer.InFeatures;
        if (count > Array.MaxLength)
        {
            throw new ZqfpException("ZQFP1013",
                $"Layer '{layer.Name}' has {count} weights, more than the {Array.MaxLength} that can be quantized in one piece. Exclude "
                + "it.",
                file.Path);
        }

        long first = (layer.Expert?.Number ?? 0) * count;
        var numbers = new WeightNumbers(file, layer.Source, first, (int)count);
        float[] weight = new float[count];
        if (!layer.StoredInputMajor)
        {
            numbers.Read(first, weight);
            return weight;
        }

        float[] strip = new float[(long)Strip * layer.OutFeatures];
        for (int k = 0; k < layer.InFeatures; k += Strip)
        {
            int rows = Math.Min(Strip, layer.InFeatures - k);
            numbers.Read(first + ((long)k * layer.OutFeatures), strip.AsSpan(0, rows * layer.OutFeatures));
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

    /// <summary>The weights of layers with the same inputs, one behind the other.</summary>
    /// <exception cref="ZqfpException">As for one layer.</exception>
    public static float[] Read(OnnxFile file, IEnumerable<LinearLayer> layers)
    {
        LinearLayer[] all = [.. layers];
        if (all.Length == 1)
        {
            return Read(file, all[0]);
        }

        float[] joined = new float[all.Sum(layer => (long)layer.OutFeatures * layer.InFeatures)];
        int done = 0;
        foreach (LinearLayer layer in all)
        {
            float[] weight = Read(file, layer);
            weight.CopyTo(joined.AsSpan(done));
            done += weight.Length;
        }

        return joined;
    }

    /// <summary>All numbers of a constant in float32, in the order they are stored.</summary>
    public static float[] ReadAll(OnnxFile file, ConstantWeight weight)
    {
        float[] values = new float[weight.Dims.Aggregate(1L, (product, dim) => product * dim)];
        new WeightNumbers(file, weight).Read(0, values);
        return values;
    }
}
