namespace Zqfp.Evaluation;

/// <summary>
/// How much of a task's accuracy a model loses against a reference on the same questions. The answers are paired: questions that both
/// answer alike, however hard, say nothing of a loss.
/// </summary>
internal sealed record TaskComparison
{
    /// <summary>The task's name.</summary>
    public required string Name { get; init; }

    /// <summary>Number of questions.</summary>
    public required int Questions { get; init; }

    /// <summary>The reference's accuracy.</summary>
    public required double ReferenceAccuracy { get; init; }

    /// <summary>The model's.</summary>
    public required double Accuracy { get; init; }

    /// <summary>Questions that the reference alone answers rightly.</summary>
    public required int Lost { get; init; }

    /// <summary>Questions that the model alone answers rightly.</summary>
    public required int Won { get; init; }

    /// <summary>The reference's accuracy less the model's.</summary>
    public double Drop => ReferenceAccuracy - Accuracy;

    /// <summary>95 % confidence interval of <see cref="Drop"/>, see <see cref="PairedShares"/>.</summary>
    public required Interval DropInterval { get; init; }

    /// <summary>Compares two results of the same task; null where its questions have no right answer.</summary>
    /// <exception cref="ArgumentException">The questions are not the same.</exception>
    public static TaskComparison? Of(TaskResult reference, TaskResult model)
    {
        if (reference.Hash != model.Hash)
        {
            throw new ArgumentException("The two answered different questions.", nameof(model));
        }

        if (model.Items[0].IsRight is null)
        {
            return null;
        }

        (bool Reference, bool Model)[] answers =
            [.. reference.Items.Zip(model.Items, (one, other) => (one.IsRight == true, other.IsRight == true))];
        int lost = answers.Count(answer => answer is (true, false));
        int won = answers.Count(answer => answer is (false, true));
        return new TaskComparison
        {
            Name = model.Name,
            Questions = answers.Length,
            ReferenceAccuracy = answers.Average(answer => answer.Reference ? 1.0 : 0),
            Accuracy = answers.Average(answer => answer.Model ? 1.0 : 0),
            Lost = lost,
            Won = won,
            DropInterval = PairedShares.Interval(answers.Length, lost, won),
        };
    }
}
