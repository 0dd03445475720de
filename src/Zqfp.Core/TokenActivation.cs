namespace Zqfp;

/// <summary>What a token is passed through before it is quantized; the numbers are those of the operator's attribute.</summary>
internal enum TokenActivation
{
    /// <summary><c>x / (1 + exp(-x))</c>.</summary>
    Silu = 0,

    /// <summary><c>x (1 + erf(x / sqrt(2))) / 2</c>.</summary>
    Gelu = 1,

    /// <summary><c>x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2</c>.</summary>
    TanhGelu = 2,

    /// <summary><c>x / (1 + exp(-1.702 x))</c>.</summary>
    QuickGelu = 3,

    /// <summary><c>max(x, 0)</c>.</summary>
    Relu = 4,
}
