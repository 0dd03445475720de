namespace Zqfp;

/// <summary>A job ended without a result, for the reason the diagnostic gives.</summary>
public sealed class PipelineException : Exception
{
    /// <summary>Creates the error.</summary>
    public PipelineException(Diagnostic diagnostic, Exception? inner = null)
        : base(diagnostic.Message, inner) => Diagnostic = diagnostic;

    /// <summary>Creates the error from its parts.</summary>
    public PipelineException(string code, string message, string? file = null, Exception? inner = null)
        : this(new Diagnostic(code, DiagnosticSeverity.Error, message, file), inner)
    {
    }

    /// <summary>What to tell the user.</summary>
    public Diagnostic Diagnostic { get; }
}
