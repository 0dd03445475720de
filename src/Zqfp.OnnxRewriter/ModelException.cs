namespace Zqfp.OnnxRewriter;

/// <summary>A model or one of its files cannot be used. The message says what is wrong, where, and what to do.</summary>
/// <remarks>Codes: ZQFP0001 (a file is missing), ZQFP10xx (the model and its graph). One page each in <c>docs/diagnostics</c>.</remarks>
public sealed class ModelException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="code">The diagnostic code, <c>ZQFPnnnn</c>.</param>
    /// <param name="file">The file it is about.</param>
    /// <param name="message">What happened and what to do.</param>
    /// <param name="inner">The cause, for a trace.</param>
    public ModelException(string code, string file, string message, Exception? inner = null)
        : base(message, inner)
    {
        Code = code;
        File = file;
    }

    /// <summary>The diagnostic code, <c>ZQFPnnnn</c>.</summary>
    public string Code { get; }

    /// <summary>The file it is about.</summary>
    public string File { get; }
}
