namespace Zqfp;

/// <summary>How much a diagnostic matters.</summary>
internal enum DiagnosticSeverity
{
    /// <summary>The result stands; somebody should look.</summary>
    Warning,

    /// <summary>There is no result.</summary>
    Error,
}

/// <summary>A coded message that a user can act on. Each code has a page in <c>docs/diagnostics</c>.</summary>
/// <param name="Code">
/// <c>ZQFPnnnn</c>: 0xxx input and configuration, 1xxx model, 2xxx quantization, 3xxx evaluation and gate, 4xxx runtime.
/// </param>
/// <param name="Severity">Warning or error.</param>
/// <param name="Message">What happened, where, and what to do: one line.</param>
/// <param name="File">The file it is about, where there is one.</param>
internal sealed record Diagnostic(string Code, DiagnosticSeverity Severity, string Message, string? File = null)
{
    /// <summary>The diagnostic of an error.</summary>
    public static Diagnostic Of(ZqfpException error) => new(error.Code, DiagnosticSeverity.Error, error.Message, error.File);
}
