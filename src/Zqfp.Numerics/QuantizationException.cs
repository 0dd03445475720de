namespace Zqfp.Numerics;

/// <summary>An error of quantization that a user can act on; <see cref="Code"/> leads to its page.</summary>
public sealed class QuantizationException : Exception
{
    /// <summary>Makes an error with a code of <see cref="DiagnosticCodes"/>.</summary>
    public QuantizationException(string code, string message)
        : base(message) => Code = code;

    /// <summary>Makes an error with a code of <see cref="DiagnosticCodes"/> and its cause.</summary>
    public QuantizationException(string code, string message, Exception innerException)
        : base(message, innerException) => Code = code;

    /// <summary>The diagnostic's code, such as <c>ZQFP2003</c>.</summary>
    public string Code { get; }
}
