using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>Small operations on rows. Sums run in eight double lanes, so their order does not depend on the machine.</summary>
internal static class VectorMath
{
    /// <summary>Smallest multiple of <paramref name="step"/> that is not below <paramref name="value"/>.</summary>
    public static int RoundUp(int value, int step) => (value + step - 1) / step * step;

    /// <summary>target += factor * source.</summary>
    public static void AddScaled(Span<float> target, float factor, ReadOnlySpan<float> source)
    {
        Span<Vector256<float>> wide = MemoryMarshal.Cast<float, Vector256<float>>(target);
        ReadOnlySpan<Vector256<float>> other = MemoryMarshal.Cast<float, Vector256<float>>(source[..target.Length]);
        Vector256<float> factors = Vector256.Create(factor);
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] = Vector256.FusedMultiplyAdd(factors, other[i], wide[i]);
        }

        for (int i = wide.Length * Vector256<float>.Count; i < target.Length; i++)
        {
            target[i] = MathF.FusedMultiplyAdd(factor, source[i], target[i]);
        }
    }

    /// <summary>target *= factor.</summary>
    public static void Scale(Span<float> target, float factor)
    {
        Span<Vector256<float>> wide = MemoryMarshal.Cast<float, Vector256<float>>(target);
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] *= factor;
        }

        for (int i = wide.Length * Vector256<float>.Count; i < target.Length; i++)
        {
            target[i] *= factor;
        }
    }

    /// <summary>target = minuend - target.</summary>
    public static void SubtractFrom(ReadOnlySpan<float> minuend, Span<float> target)
    {
        Span<Vector256<float>> wide = MemoryMarshal.Cast<float, Vector256<float>>(target);
        ReadOnlySpan<Vector256<float>> other = MemoryMarshal.Cast<float, Vector256<float>>(minuend[..target.Length]);
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] = other[i] - wide[i];
        }

        for (int i = wide.Length * Vector256<float>.Count; i < target.Length; i++)
        {
            target[i] = minuend[i] - target[i];
        }
    }

    /// <summary>target += factor * source, in double.</summary>
    public static void AddScaled(Span<double> target, double factor, ReadOnlySpan<double> source)
    {
        Span<Vector256<double>> wide = MemoryMarshal.Cast<double, Vector256<double>>(target);
        ReadOnlySpan<Vector256<double>> other = MemoryMarshal.Cast<double, Vector256<double>>(source[..target.Length]);
        Vector256<double> factors = Vector256.Create(factor);
        for (int i = 0; i < wide.Length; i++)
        {
            wide[i] = Vector256.FusedMultiplyAdd(factors, other[i], wide[i]);
        }

        for (int i = wide.Length * Vector256<double>.Count; i < target.Length; i++)
        {
            target[i] = Math.FusedMultiplyAdd(factor, source[i], target[i]);
        }
    }

    /// <summary>Sum of products, accumulated in double.</summary>
    public static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ReadOnlySpan<Vector256<float>> x = MemoryMarshal.Cast<float, Vector256<float>>(a);
        ReadOnlySpan<Vector256<float>> y = MemoryMarshal.Cast<float, Vector256<float>>(b[..a.Length]);
        Vector256<double> low = Vector256<double>.Zero, high = low;
        for (int i = 0; i < x.Length; i++)
        {
            (Vector256<double> xl, Vector256<double> xh) = Vector256.Widen(x[i]);
            (Vector256<double> yl, Vector256<double> yh) = Vector256.Widen(y[i]);
            low = Vector256.FusedMultiplyAdd(xl, yl, low);
            high = Vector256.FusedMultiplyAdd(xh, yh, high);
        }

        double sum = Vector256.Sum(low + high);
        for (int i = x.Length * Vector256<float>.Count; i < a.Length; i++)
        {
            sum = Math.FusedMultiplyAdd(a[i], b[i], sum);
        }

        return sum;
    }

    /// <summary>Sum of products in double.</summary>
    public static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ReadOnlySpan<Vector256<double>> x = MemoryMarshal.Cast<double, Vector256<double>>(a);
        ReadOnlySpan<Vector256<double>> y = MemoryMarshal.Cast<double, Vector256<double>>(b[..a.Length]);
        Vector256<double> lanes = Vector256<double>.Zero;
        for (int i = 0; i < x.Length; i++)
        {
            lanes = Vector256.FusedMultiplyAdd(x[i], y[i], lanes);
        }

        double sum = Vector256.Sum(lanes);
        for (int i = x.Length * Vector256<double>.Count; i < a.Length; i++)
        {
            sum = Math.FusedMultiplyAdd(a[i], b[i], sum);
        }

        return sum;
    }

    /// <summary>Largest magnitude; 0 for an empty span. The input must be finite.</summary>
    public static float MaxMagnitude(ReadOnlySpan<float> values)
    {
        ReadOnlySpan<Vector256<float>> wide = MemoryMarshal.Cast<float, Vector256<float>>(values);
        Vector256<float> lanes = Vector256<float>.Zero;
        foreach (Vector256<float> value in wide)
        {
            lanes = Vector256.Max(lanes, Vector256.Abs(value));
        }

        float max = 0;
        for (int i = 0; i < Vector256<float>.Count; i++)
        {
            max = MathF.Max(max, lanes[i]);
        }

        for (int i = wide.Length * Vector256<float>.Count; i < values.Length; i++)
        {
            max = MathF.Max(max, MathF.Abs(values[i]));
        }

        return max;
    }

    /// <summary>Index of the first NaN or infinity, or -1.</summary>
    public static int IndexOfNonFinite(ReadOnlySpan<float> values)
    {
        ReadOnlySpan<Vector256<uint>> wide = MemoryMarshal.Cast<float, Vector256<uint>>(values);
        Vector256<uint> exponent = Vector256.Create(0x7F800000u);
        int start = 0;
        while (start < wide.Length && !Vector256.EqualsAny(wide[start] & exponent, exponent))
        {
            start++;
        }

        for (int i = start * Vector256<float>.Count; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
            {
                return i;
            }
        }

        return -1;
    }
}
