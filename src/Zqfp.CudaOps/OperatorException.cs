namespace Zqfp.CudaOps;

/// <summary>A node breaks a rule of its operator (<c>docs/operators.md</c>). ONNX Runtime's message names the node.</summary>
/// <param name="message">The rule and what was found.</param>
public sealed class OperatorException(string message) : Exception("ZQFP4006: " + message)
{
    /// <summary>The diagnostic code.</summary>
    public string Code { get; } = "ZQFP4006";
}
