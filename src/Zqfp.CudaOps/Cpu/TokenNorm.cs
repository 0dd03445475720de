using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>The norm of one token, on the CPU.</summary>
internal static unsafe class TokenNorm
{
    private const int Lanes = 8;

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
        if (shift is null)
        {
            Scale(row, count, mean, factor, gain);
        }
        else
        {
            Scale(row, count, mean, factor, gain, shift);
        }
    }

    [MethodImpl(HotLoop.Options)]
    private static void Scale(float* row, int count, float mean, float factor, float* gain)
    {
        int i = 0;
        Vector256<float> means = Vector256.Create(mean), factors = Vector256.Create(factor);
        for (; i <= count - Lanes; i += Lanes)
        {
            ((Vector256.Load(row + i) - means) * factors * Vector256.Load(gain + i)).Store(row + i);
        }

        for (; i < count; i++)
        {
            row[i] = (row[i] - mean) * factor * gain[i];
        }
    }

    [MethodImpl(HotLoop.Options)]
    private static void Scale(float* row, int count, float mean, float factor, float* gain, float* shift)
    {
        int i = 0;
        Vector256<float> means = Vector256.Create(mean), factors = Vector256.Create(factor);
        for (; i <= count - Lanes; i += Lanes)
        {
            Vector256<float> normal = (Vector256.Load(row + i) - means) * factors * Vector256.Load(gain + i);
            (normal + Vector256.Load(shift + i)).Store(row + i);
        }

        for (; i < count; i++)
        {
            row[i] = ((row[i] - mean) * factor * gain[i]) + shift[i];
        }
    }

    /// <summary>Adds up in float64, in eight sums whatever the machine's vectors are: the same bits everywhere.</summary>
    [MethodImpl(HotLoop.Options)]
    private static double Sum(float* row, int count, float less, bool squares)
    {
        Vector256<double> low = Vector256<double>.Zero, high = low;
        Vector256<float> mean = Vector256.Create(less);
        int i = 0;
        for (; i <= count - Lanes; i += Lanes)
        {
            (Vector256<double> first, Vector256<double> second) = Vector256.Widen(Vector256.Load(row + i) - mean);
            low += squares ? first * first : first;
            high += squares ? second * second : second;
        }

        double sum = 0;
        for (int lane = 0; lane < Lanes / 2; lane++)
        {
            sum += low[lane];
        }

        for (int lane = 0; lane < Lanes / 2; lane++)
        {
            sum += high[lane];
        }

        for (; i < count; i++)
        {
            double x = row[i] - less;
            sum += squares ? x * x : x;
        }

        return sum;
    }
}
