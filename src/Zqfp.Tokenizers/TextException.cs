namespace Zqfp.Tokenizers;

/// <summary>
/// A tokenizer or a text source that cannot be used. The message says what happened, in which file, and what to do;
/// <see cref="Code"/> is its diagnostic, one of ZQFP0101 to ZQFP0114.
/// </summary>
public sealed class TextException : Exception
{
    /// <summary>Creates the exception of one diagnostic.</summary>
    /// <param name="code">The diagnostic's code, <c>ZQFP01nn</c>.</param>
    /// <param name="message">What happened, where, and what to do.</param>
    /// <param name="innerException">The cause, where another exception is one.</param>
    public TextException(string code, string message, Exception? innerException = null)
        : base(message, innerException)
    {
        Code = code;
    }

    /// <summary>The diagnostic's code, <c>ZQFP01nn</c>.</summary>
    public string Code { get; }
}
