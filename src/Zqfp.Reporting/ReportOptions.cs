namespace Zqfp.Reporting;

/// <summary>What a report is made from and where it goes.</summary>
internal sealed record ReportOptions
{
    /// <summary>The JSON that <c>quantize --json</c> or <c>quantize --result</c> wrote.</summary>
    public required string QuantizationPath { get; init; }

    /// <summary>The JSON that <c>gate --json</c> or <c>gate --result</c> wrote; null where nothing was measured.</summary>
    public string? GatePath { get; init; }

    /// <summary>The files to write; what each ends in says what it becomes: <c>.html</c>, <c>.md</c> or <c>.json</c>.</summary>
    public required IReadOnlyList<string> OutputPaths { get; init; }
}
