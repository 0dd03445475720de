namespace Zqfp.Evaluation;

/// <summary>Measures a model on tasks, alone or against another model.</summary>
internal static class TaskJob
{
    /// <summary>Has the model answer each task, or takes its kept answers.</summary>
    /// <returns>A result for each task, in their order.</returns>
    /// <exception cref="ZqfpException">A task, the model or the tokenizer cannot be used; the code says why.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static IReadOnlyList<TaskResult> Run(TaskOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        if (options.Tasks.Count == 0)
        {
            return [];
        }

        options = (TaskOptions)options.InGenAiFolders();
        ModelFacts facts = Facts(options.ModelPath, options);
        PreparedTask[] tasks = [.. options.Tasks.Select(task => PreparedTask.Read(task, options, cancellation))];
        IReadOnlyList<TaskResult> results = Answer(tasks, options, facts, observer, cancellation);
        return options.AgainstPath is { } against
            ? [.. results.Zip(Answer(tasks, options, Facts(against, options), observer, cancellation),
                (model, reference) => model with { Against = TaskComparison.Of(reference, model) })]
            : results;
    }

    private static ModelFacts Facts(string modelPath, TaskOptions options)
    {
        ModelFacts facts = ModelFacts.Read(modelPath, options.Logits);
        facts.RequireWindow(options.Window);
        return facts;
    }

    private static IReadOnlyList<TaskResult> Answer(
        IReadOnlyList<PreparedTask> tasks, TaskOptions options, ModelFacts facts, IJobObserver observer, CancellationToken cancellation)
    {
        foreach (PreparedTask task in tasks)
        {
            task.RequireKnown(facts, options.TokenizerPath);
        }

        var cache = new EvaluationCache(options.CacheFolder);
        var inputs = new InputFiles();
        LanguageModel? model = null;
        try
        {
            return [.. tasks.Select(task => cache.GetOrAnswer(options, facts, inputs, task, () =>
            {
                model ??= new LanguageModel(facts, options.Threads, options.Device, remembers: true);
                return Answer(task, options, facts, model, observer, cancellation);
            }, observer, cancellation))];
        }
        finally
        {
            model?.Dispose();
        }
    }

    private static TaskResult Answer(
        PreparedTask task, TaskOptions options, ModelFacts facts, LanguageModel model, IJobObserver observer,
        CancellationToken cancellation)
    {
        IReadOnlyList<TaskRequest> requests = task.AllRequests;
        string phase = $"Answering {task.Definition.Name}";
        RequestScore[] scores = new TaskScorer(model, facts, requests, options.Threads).Score(
            done => observer.Report(new JobProgress(phase, done, requests.Count, "requests")), cancellation);
        if (!scores.All(score => double.IsFinite(score.LogLikelihood)))
        {
            throw new ZqfpException("ZQFP3002",
                $"The model's logits are not finite in task '{task.Definition.Name}'. Check the model; if it is float16, export it in "
                + "float32.", facts.Path);
        }

        int next = 0;
        RequestScore[][] answers =
        [
            .. task.Requests.Select(choices =>
                (RequestScore[])[.. choices.Select(parts => parts.Select(_ => scores[next++]).Aggregate((sum, part) => sum + part))])
        ];
        return new TaskResult
        {
            Name = task.Definition.Name,
            Kind = task.Definition.Kind,
            Metrics = TaskMetrics.Of(task.Definition, task.Items, answers),
            Items =
            [
                .. task.Items.Zip(answers, (item, answer) => new TaskItemScore(answer, TaskMetrics.IsRight(task.Definition, item, answer)))
            ],
            Hash = task.Hash(),
        };
    }
}
