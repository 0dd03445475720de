namespace Zqfp.CudaOps;

/// <summary>A failure of the CUDA part of the library, with a code a user can look up.</summary>
/// <remarks>
/// ZQFP4101 no driver; 4102 no NVRTC; 4103 device too old; 4104 driver call failed; 4105 kernel does not compile;
/// 4106 no cuBLASLt; 4107 cuBLASLt call failed; 4108 weights or shape the fast layout cannot hold.
/// </remarks>
public sealed class CudaException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="code">A code ZQFP41nn.</param>
    /// <param name="message">What happened, where, what to do.</param>
    /// <param name="inner">The cause, if another exception is.</param>
    public CudaException(string code, string message, Exception? inner = null)
        : base($"{code}: {message}", inner) => Code = code;

    /// <summary>The diagnostic code, ZQFP41nn.</summary>
    public string Code { get; }
}
