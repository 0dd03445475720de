namespace Zqfp.Evaluation;

/// <summary>A model's scores on a task.</summary>
internal sealed record TaskResult
{
    /// <summary>The task's name.</summary>
    public required string Name { get; init; }

    /// <summary>What it asks.</summary>
    public required TaskKind Kind { get; init; }

    /// <summary>The scores by lm-evaluation-harness's names, the one that a gate judges first.</summary>
    public required IReadOnlyList<TaskMetric> Metrics { get; init; }

    /// <summary>The questions, in the data's order.</summary>
    public required IReadOnlyList<TaskItemScore> Items { get; init; }

    /// <summary>Hash of the tokens asked: equal for equal questions.</summary>
    public required string Hash { get; init; }

    /// <summary>The model against another one on the same questions, where one was named.</summary>
    public TaskComparison? Against { get; init; }
}

/// <summary>One score.</summary>
/// <param name="Name">Its name in lm-evaluation-harness.</param>
/// <param name="Value">Its value: a share, or a perplexity.</param>
/// <param name="StandardError">Its standard error over questions; null where there is one question, or none is defined.</param>
internal sealed record TaskMetric(string Name, double Value, double? StandardError);

/// <summary>What a model says of one question.</summary>
/// <param name="Requests">The scores of its choices, or of its one request.</param>
/// <param name="IsRight">Whether the answer that a gate judges is right; null where a question has no right answer.</param>
internal sealed record TaskItemScore(IReadOnlyList<RequestScore> Requests, bool? IsRight);
