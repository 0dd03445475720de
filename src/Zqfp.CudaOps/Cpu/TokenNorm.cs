using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>The norm of one token, on the CPU.</summary>
internal static unsafe class TokenNorm
{
    /// <summary>Normalizes values in place: (x - mean) / sqrt(mean of squares + epsilon) * gain + shift.</summary>
    /// <param name="row">The token.</param>
    /// <param name="count">K.</param>
    /// <param name="gain">[K].</param>
    /// <param name="shift">[K], or null.</param>
    /// <param name="epsilon">Added to the mean of the squares.</param>
    /// <param name="isCentered">Whether the mean is taken off first.</param>
    public static void Apply(float* row, int count, float* gain, float* shift, float epsilon, bool isCentered)
    {
        float mean = isCentered ? (float)(Sum(row, count, 0, squares: false) / count) : 0;
        float factor = 1 / MathF.Sqrt((float)(Sum(row, count, mean, squares: true) / count) + epsilon);
        int i = 0;
        Vector512<float> means = Vector512.Create(mean), factors = Vector512.Create(factor);
        for (; i <= count - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            Vector512<float> normal = (Vector512.Load(row + i) - means) * factors * Vector512.Load(gain + i);
            (shift is null ? normal : normal + Vector512.Load(shift + i)).Store(row + i);
        }

        for (; i < count; i++)
        {
            float normal = (row[i] - mean) * factor * gain[i];
            row[i] = shift is null ? normal : normal + shift[i];
        }
    }

    /// <summary>Adds up in float64, in eight sums whatever the machine's vectors are: the same bits everywhere.</summary>
    private static double Sum(float* row, int count, float less, bool squares)
    {
        const int Lanes = 8;
        Vector512<double> sums = Vector512<double>.Zero;
        Vector256<float> mean = Vector256.Create(less);
        int i = 0;
        for (; i <= count - Lanes; i += Lanes)
        {
            Vector256<float> x = Vector256.Load(row + i) - mean;
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(x);
            Vector512<double> wide = Vector512.Create(low, high);
            sums += squares ? wide * wide : wide;
        }

        double sum = 0;
        for (int lane = 0; lane < Lanes; lane++)
        {
            sum += sums[lane];
        }

        for (; i < count; i++)
        {
            double x = row[i] - less;
            sum += squares ? x * x : x;
        }

        return sum;
    }
}
