namespace Zqfp.Pipeline.Report;

/// <summary>What a report is made from and where it goes.</summary>
public sealed record ReportOptions
{
    /// <summary>The JSON that <c>quantize --json</c> wrote.</summary>
    public required string QuantizationPath { get; init; }

    /// <summary>The JSON that <c>gate --json</c> wrote; null where nothing was measured.</summary>
    public string? GatePath { get; init; }

    /// <summary>The HTML file to write.</summary>
    public required string OutputPath { get; init; }
}
