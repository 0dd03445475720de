using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.Numerics;

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

    [MethodImpl(HotLoop.Options)]
    private static void Apply<T>(float* row, float* up, int count)
        where T : IActivation
    {
        int i = 0;
        for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            Vector256<float> made = T.Of(Vector256.Load(row + i));
            (up is null ? made : made * Vector256.Load(up + i)).Store(row + i);
        }

        // The last values by the same arithmetic, in a vector of their own.
        for (; i < count; i++)
        {
            float made = T.Of(Vector256.CreateScalar(row[i]))[0];
            row[i] = up is null ? made : made * up[i];
        }
    }

    private interface IActivation
    {
        static abstract Vector256<float> Of(Vector256<float> x);
    }

    private readonly struct Silu : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Of(Vector256<float> x) => x / (Vector256<float>.One + Exponential.Of(-x));
    }

    private readonly struct QuickGelu : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Of(Vector256<float> x) => x / (Vector256<float>.One + Exponential.Of(x * Vector256.Create(-1.702f)));
    }

    /// <summary>(1 + tanh(u)) / 2 is 1 / (1 + exp(-2 u)).</summary>
    private readonly struct TanhGelu : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Of(Vector256<float> x)
        {
            const float Linear = -1.5957691216f, Cubic = 0.044715f * Linear;
            Vector256<float> exponent = x * Vector256.FusedMultiplyAdd(x * x, Vector256.Create(Cubic), Vector256.Create(Linear));
            return x / (Vector256<float>.One + Exponential.Of(exponent));
        }
    }

    private readonly struct Relu : IActivation
    {
        // A NaN stays: Max gives it on.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Of(Vector256<float> x) => Vector256.Max(x, Vector256<float>.Zero);
    }

    private readonly struct Gelu : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector256<float> Of(Vector256<float> x)
        {
            const float InverseRoot = 0.70710678118f;
            var half = Vector256.Create(0.5f);
            return x * Vector256.FusedMultiplyAdd(half, ErrorFunction(x * Vector256.Create(InverseRoot)), half);
        }

        /// <summary>
        /// erf by two polynomials, up to and from 0.921875: x + x p(x^2), and 1 - exp(-(|x| + |x| q(|x|))), to a few
        /// units of the last place.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector256<float> ErrorFunction(Vector256<float> x)
        {
            Vector256<float> magnitude = Vector256.Abs(x), square = x * x;
            var near = Vector256.Create(-5.99104969e-4f);
            near = Next(near, square, 4.99339588e-3f);
            near = Next(near, square, -2.67667342e-2f);
            near = Next(near, square, 1.12818025e-1f);
            near = Next(near, square, -3.76124859e-1f);
            near = Next(near, square, 1.28379151e-1f);
            near = Vector256.FusedMultiplyAdd(near, x, x);

            // Behind 4 it is 1, and the polynomial no longer is what it should.
            Vector256<float> far = Vector256.Min(magnitude, Vector256.Create(4f));
            var power = Vector256.Create(1.72948930e-5f);
            power = Next(power, far, -3.83208680e-4f);
            power = Next(power, far, 3.88393435e-3f);
            power = Next(power, far, -2.42545605e-2f);
            power = Next(power, far, 1.06777847e-1f);
            power = Next(power, far, 6.34846687e-1f);
            power = Next(power, far, 1.28717512e-1f);
            power = Vector256<float>.One - Exponential.Of(-Vector256.FusedMultiplyAdd(power, far, far));
            power |= x & Vector256.Create(-0f);
            return Vector256.ConditionalSelect(Vector256.LessThanOrEqual(magnitude, Vector256.Create(0.921875f)), near, power);
        }

        /// <summary>The next coefficient of a polynomial by Horner's rule.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector256<float> Next(Vector256<float> sum, Vector256<float> x, float coefficient) =>
            Vector256.FusedMultiplyAdd(sum, x, Vector256.Create(coefficient));
    }
}
