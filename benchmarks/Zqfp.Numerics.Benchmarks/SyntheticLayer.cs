namespace Zqfp.Numerics.Benchmarks;

/// <summary>Seeded random data shaped like a layer's.</summary>
internal static class SyntheticLayer
{
    public static float[] Uniform(int count, int seed)
    {
        var random = new Random(seed);
        float[] values = new float[count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)((random.NextDouble() * 2) - 1);
        }

        return values;
    }

    /// <summary>Tokens whose neighbouring columns are correlated, as activations are.</summary>
    public static float[] Tokens(int tokens, int columns, int seed)
    {
        float[] values = Uniform(tokens * columns, seed);
        for (int t = 0; t < tokens; t++)
        {
            for (int k = 1; k < columns; k++)
            {
                values[(t * columns) + k] = (0.8f * values[(t * columns) + k - 1]) + (0.6f * values[(t * columns) + k]);
            }
        }

        return values;
    }

    public static Hessian Hessian(int columns, int seed)
    {
        using var gram = new GramAccumulator(columns);
        float[] tokens = Tokens(512, columns, seed);
        gram.Add(tokens);
        return gram.ToHessian();
    }
}
