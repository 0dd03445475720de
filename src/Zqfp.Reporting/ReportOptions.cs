namespace Zqfp.Reporting;

/// <summary>What a report is made from and where it goes.</summary>
internal sealed record ReportOptions
{
    /// <summary>The results of one model, or of several that are compared.</summary>
    public required IReadOnlyList<ReportSource> Sources { get; init; }

    /// <summary>The files to write; what each ends in says what it becomes: <c>.html</c>, <c>.md</c> or <c>.json</c>.</summary>
    public required IReadOnlyList<string> OutputPaths { get; init; }
}

/// <summary>The files that hold what quantizing and measuring one model gave.</summary>
/// <param name="QuantizationPath">The JSON that <c>quantize --json</c> or <c>quantize --result</c> wrote.</param>
/// <param name="GatePath">The JSON that <c>gate --json</c> or <c>gate --result</c> wrote; null where nothing was measured.</param>
internal sealed record ReportSource(string QuantizationPath, string? GatePath);
