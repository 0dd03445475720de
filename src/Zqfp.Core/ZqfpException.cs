namespace Zqfp;

/// <summary>Something a user can act on went wrong. The message says what happened, where, and what to do.</summary>
/// <param name="code">
/// <c>ZQFPnnnn</c>: 0xxx input and configuration, 1xxx model and graph, 2xxx quantization, 3xxx evaluation and gate, 4xxx runtime and
/// environment. Each has a page in <c>docs/diagnostics</c>.
/// </param>
/// <param name="message">What happened, where, and what to do.</param>
/// <param name="file">The file it is about, where there is one.</param>
/// <param name="inner">The cause, where another exception is one.</param>
public sealed class ZqfpException(string code, string message, string? file = null, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The diagnostic's code, such as <c>ZQFP1007</c>.</summary>
    public string Code { get; } = code;

    /// <summary>The file it is about, where there is one.</summary>
    public string? File { get; } = file;
}
