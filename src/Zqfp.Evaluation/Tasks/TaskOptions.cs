namespace Zqfp.Evaluation;

/// <summary>Which model to measure on which tasks.</summary>
internal sealed record TaskOptions : MeasureOptions
{
    /// <summary>The tasks: task files, or tasks that are built in with their data, as <see cref="TaskFile.Load"/> takes them.</summary>
    public required IReadOnlyList<string> Tasks { get; init; }
}
