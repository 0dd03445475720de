namespace Zqfp.Numerics;

/// <summary>
/// Takes the mean out of moments: a layer whose bias is fitted need not reproduce it with its weights, so that their error counts about the
/// mean alone.
/// </summary>
/// <remarks>
/// With the mean m of the inputs a and u of the values t over all tokens, the moment of a part of them,
/// (2/N) sum (t - u)(a - m)^T = (2/N) (sum t a^T - u (sum a - n m)^T - (sum t) m^T): a change of rank 2. Parts centered by the same means
/// still add up.
/// </remarks>
/// <param name="inputMean">m.</param>
/// <param name="tokens">N, the tokens of all parts.</param>
internal sealed class Centering(double[] inputMean, long tokens)
{
    /// <summary>Share of an input's mean square that float32 does not tell from none.</summary>
    private const float Noise = 1e-6f;

    private readonly float[] _mean = Array.ConvertAll(inputMean, value => (float)value);

    /// <summary>Centers the H of a part.</summary>
    /// <param name="hessian">(2/N) sum a a^T.</param>
    /// <param name="sum">Sum of a over the part.</param>
    public void Apply(Hessian hessian, ReadOnlySpan<double> sum)
    {
        float[] rest = Rest(sum, hessian.Tokens);
        float[] before = hessian.Diagonal();
        for (int row = 0; row < hessian.Size; row++)
        {
            Change(hessian.MutableRow(row), inputMean[row], rest, sum[row]);
        }

        // What is left of an input that hardly varies is rounding noise of its mean: the bias has it all.
        for (int row = 0; row < hessian.Size; row++)
        {
            if (hessian.MutableRow(row)[row] <= Noise * before[row])
            {
                hessian.MutableRow(row).Clear();
                for (int below = row + 1; below < hessian.Size; below++)
                {
                    hessian.MutableRow(below)[row] = 0;
                }
            }
        }

        hessian.MirrorLowerTriangle();
    }

    /// <summary>Centers the moment of other values of the same tokens.</summary>
    /// <param name="moment">(2/N) sum t a^T of a part.</param>
    /// <param name="part">Tokens of the part.</param>
    /// <param name="sum">Sum of t over the part.</param>
    /// <param name="mean">u.</param>
    /// <param name="inputSum">Sum of a over the part.</param>
    public void Apply(CrossMoment moment, long part, ReadOnlySpan<double> sum, double[] mean, ReadOnlySpan<double> inputSum)
    {
        float[] rest = Rest(inputSum, part);
        for (int row = 0; row < moment.Rows; row++)
        {
            Change(moment.Row(row), mean[row], rest, sum[row]);
        }
    }

    private float[] Rest(ReadOnlySpan<double> sum, long part)
    {
        float[] rest = new float[inputMean.Length];
        for (int i = 0; i < rest.Length; i++)
        {
            rest[i] = (float)(sum[i] - (part * inputMean[i]));
        }

        return rest;
    }

    private void Change(Span<float> row, double mean, float[] rest, double sum)
    {
        double scale = -2.0 / tokens;
        VectorMath.AddScaled(row, (float)(scale * mean), rest);
        VectorMath.AddScaled(row, (float)(scale * sum), _mean);
    }
}
