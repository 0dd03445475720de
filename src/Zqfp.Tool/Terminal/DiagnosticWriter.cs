namespace Zqfp.Tool;

/// <summary>Writes errors and warnings in the form that MSBuild and editors recognize: <c>FILE : error ZQFPnnnn: text</c>.</summary>
internal static class DiagnosticWriter
{
    private const string ToolName = "dotnet-zqfp";

    public static void Error(string code, string message) => Write(new Diagnostic(code, DiagnosticSeverity.Error, message));

    public static void Write(Diagnostic diagnostic)
    {
        bool isError = diagnostic.Severity == DiagnosticSeverity.Error;
        string kind = Style.Error.Paint($"{(isError ? "error" : "warning")} {diagnostic.Code}", isError ? Color.Red : Color.Yellow);

        // One diagnostic is one line, or the rest of it would not be recognized; people at a terminal recognize it.
        string message = diagnostic.Message.ReplaceLineEndings(" ");
        string place = string.IsNullOrEmpty(diagnostic.File) ? ToolName : diagnostic.File;
        Console.Error.WriteLine(Wrapping.Wrap($"{place} : {kind}: {message}", Style.Error.Width));
    }
}
