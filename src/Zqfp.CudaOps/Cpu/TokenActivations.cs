using System.Runtime.Intrinsics;

namespace Zqfp.CudaOps;

/// <summary>Activations of a token's values, alone or times another value, on the CPU.</summary>
internal static unsafe class TokenActivations
{
    /// <summary>row = f(row), or f(row) * up.</summary>
    /// <param name="activation">f.</param>
    /// <param name="row">The token.</param>
    /// <param name="up">What the result is multiplied with, or null.</param>
    /// <param name="count">How many values.</param>
    public static void Apply(TokenActivation activation, float* row, float* up, int count)
    {
        switch (activation)
        {
            case TokenActivation.Silu:
                Apply<Silu>(row, up, count);
                break;
            case TokenActivation.Gelu:
                Apply<Gelu>(row, up, count);
                break;
            case TokenActivation.TanhGelu:
                Apply<TanhGelu>(row, up, count);
                break;
            case TokenActivation.QuickGelu:
                Apply<QuickGelu>(row, up, count);
                break;
            default:
                Apply<Relu>(row, up, count);
                break;
        }
    }

    private static void Apply<T>(float* row, float* up, int count)
        where T : IActivation
    {
        int i = 0;
        for (; i <= count - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            Vector512<float> made = T.Of(Vector512.Load(row + i));
            (up is null ? made : made * Vector512.Load(up + i)).Store(row + i);
        }

        // The last values by the same arithmetic, in a vector of their own.
        for (; i < count; i++)
        {
            float made = T.Of(Vector512.CreateScalar(row[i]))[0];
            row[i] = up is null ? made : made * up[i];
        }
    }

    private interface IActivation
    {
        static abstract Vector512<float> Of(Vector512<float> x);
    }

    private readonly struct Silu : IActivation
    {
        public static Vector512<float> Of(Vector512<float> x) => x / (Vector512<float>.One + Vector512.Exp(-x));
    }

    private readonly struct QuickGelu : IActivation
    {
        public static Vector512<float> Of(Vector512<float> x) => x / (Vector512<float>.One + Vector512.Exp(x * Vector512.Create(-1.702f)));
    }

    /// <summary>(1 + tanh(u)) / 2 is 1 / (1 + exp(-2 u)).</summary>
    private readonly struct TanhGelu : IActivation
    {
        public static Vector512<float> Of(Vector512<float> x)
        {
            const float Linear = -1.5957691216f, Cubic = 0.044715f * Linear;
            Vector512<float> exponent = x * Vector512.FusedMultiplyAdd(x * x, Vector512.Create(Cubic), Vector512.Create(Linear));
            return x / (Vector512<float>.One + Vector512.Exp(exponent));
        }
    }

    private readonly struct Relu : IActivation
    {
        // A NaN stays: Max gives it on.
        public static Vector512<float> Of(Vector512<float> x) => Vector512.Max(x, Vector512<float>.Zero);
    }

    private readonly struct Gelu : IActivation
    {
        public static Vector512<float> Of(Vector512<float> x)
        {
            const float InverseRoot = 0.70710678118f;
            var half = Vector512.Create(0.5f);
            return x * Vector512.FusedMultiplyAdd(half, ErrorFunction(x * Vector512.Create(InverseRoot)), half);
        }

        /// <summary>
        /// erf by two polynomials, up to and from 0.921875: x + x p(x^2), and 1 - exp(-(|x| + |x| q(|x|))), to a few
        /// units of the last place.
        /// </summary>
        private static Vector512<float> ErrorFunction(Vector512<float> x)
        {
            Vector512<float> magnitude = Vector512.Abs(x), square = x * x;
            Vector512<float> near = Polynomial(
                square, [-5.99104969e-4f, 4.99339588e-3f, -2.67667342e-2f, 1.12818025e-1f, -3.76124859e-1f, 1.28379151e-1f]);
            near = Vector512.FusedMultiplyAdd(near, x, x);

            // Behind 4 it is 1, and the polynomial no longer is what it should.
            Vector512<float> far = Vector512.Min(magnitude, Vector512.Create(4f));
            Vector512<float> power = Polynomial(
                far, [1.72948930e-5f, -3.83208680e-4f, 3.88393435e-3f, -2.42545605e-2f, 1.06777847e-1f, 6.34846687e-1f, 1.28717512e-1f]);
            power = Vector512<float>.One - Vector512.Exp(-Vector512.FusedMultiplyAdd(power, far, far));
            power |= x & Vector512.Create(-0f);
            return Vector512.ConditionalSelect(Vector512.LessThanOrEqual(magnitude, Vector512.Create(0.921875f)), near, power);
        }

        private static Vector512<float> Polynomial(Vector512<float> x, ReadOnlySpan<float> coefficients)
        {
            var sum = Vector512.Create(coefficients[0]);
            foreach (float coefficient in coefficients[1..])
            {
                sum = Vector512.FusedMultiplyAdd(sum, x, Vector512.Create(coefficient));
            }

            return sum;
        }
    }
}
