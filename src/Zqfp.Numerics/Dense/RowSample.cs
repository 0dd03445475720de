namespace Zqfp.Numerics;

/// <summary>Some rows of a matrix, evenly spread, by which something is chosen for all of them.</summary>
internal static class RowSample
{
    /// <summary>The rows; all where there are not more than <paramref name="most"/>.</summary>
    public static int[] Evenly(int rows, int most)
    {
        int count = Math.Min(most, rows);
        return [.. Enumerable.Range(0, count).Select(i => (int)((long)i * rows / count))];
    }

    /// <summary>These rows of a matrix of so many columns, one behind the other.</summary>
    public static float[] Of(ReadOnlySpan<float> matrix, ReadOnlySpan<int> rows, int columns)
    {
        float[] some = new float[rows.Length * columns];
        for (int i = 0; i < rows.Length; i++)
        {
            matrix.Slice(rows[i] * columns, columns).CopyTo(some.AsSpan(i * columns));
        }

        return some;
    }
}
