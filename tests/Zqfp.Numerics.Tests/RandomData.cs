namespace Zqfp.Numerics.Tests;

/// <summary>Seeded random layers.</summary>
internal static class RandomData
{
    public static float[] Uniform(int count, int seed, float scale = 1)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => scale * (float)((random.NextDouble() * 2) - 1))];
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

    public static Hessian Hessian(int columns, int seed, int tokens = 0)
    {
        using var gram = new GramAccumulator(columns);
        gram.Add(Tokens(tokens == 0 ? 4 * columns : tokens, columns, seed));
        return gram.ToHessian();
    }
}
