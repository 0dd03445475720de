using System.Diagnostics.CodeAnalysis;

namespace Zqfp.Evaluation;

/// <summary>Which model to measure on which tasks.</summary>
internal sealed record TaskOptions : MeasureOptions
{
    /// <summary>Tasks for a model.</summary>
    /// <param name="measure">The model and how it is measured.</param>
    /// <param name="tasks">Task files, or built-in tasks with their data, as <see cref="TaskFile.Load"/> takes them.</param>
    [SetsRequiredMembers]
    public TaskOptions(MeasureOptions measure, IReadOnlyList<string> tasks)
        : base(measure) => Tasks = tasks;

    /// <summary>Task files, or built-in tasks with their data.</summary>
    public IReadOnlyList<string> Tasks { get; }
}
