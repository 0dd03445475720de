namespace Zqfp.Numerics;

/// <summary>The sum of rows, in float64 over batches, each of which is summed in float32.</summary>
/// <param name="columns">Values of a row.</param>
internal sealed class TokenSum(int columns)
{
    private readonly double[] _values = new double[columns];
    private readonly float[] _batch = new float[columns];

    /// <summary>Adds rows one behind the other.</summary>
    public void Add(ReadOnlySpan<float> rows)
    {
        Array.Clear(_batch);
        for (int start = 0; start < rows.Length; start += columns)
        {
            VectorMath.AddScaled(_batch, 1, rows.Slice(start, columns));
        }

        for (int i = 0; i < columns; i++)
        {
            _values[i] += _batch[i];
        }
    }

    /// <summary>The sum of the rows added.</summary>
    public ReadOnlySpan<double> Values => _values;

    /// <summary>The mean of the rows of two sums.</summary>
    public static double[] Mean(TokenSum one, TokenSum other, long count)
    {
        double[] mean = new double[one._values.Length];
        for (int i = 0; i < mean.Length; i++)
        {
            mean[i] = (one._values[i] + other._values[i]) / count;
        }

        return mean;
    }
}
