namespace Zqfp.Evaluation;

/// <summary>Measures a model on texts and tasks.</summary>
internal static class MeasureJob
{
    /// <summary>Measures one after the other.</summary>
    /// <param name="texts">The model on each text.</param>
    /// <param name="tasks">The model on tasks.</param>
    /// <param name="observer">Is told of progress and warnings.</param>
    /// <param name="cancellation">Ends the job.</param>
    /// <exception cref="ZqfpException">The model, a text, a task or the tokenizer cannot be used; the code says why.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static Measurement Run(
        IReadOnlyList<EvaluateOptions> texts, TaskOptions tasks, IJobObserver observer, CancellationToken cancellation) =>
        new()
        {
            Texts = [.. texts.Select(text => new MeasuredText(text.TextPath, EvaluateJob.Run(text, observer, cancellation)))],
            Tasks = TaskJob.Run(tasks, observer, cancellation),
        };
}
