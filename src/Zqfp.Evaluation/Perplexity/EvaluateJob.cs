
namespace Zqfp.Evaluation;

/// <summary>Measures a model's perplexity on a text, alone or against another model.</summary>
internal static class EvaluateJob
{
    /// <summary>Evaluates a model, float or quantized. Logits are held for one batch only.</summary>
    /// <exception cref="ZqfpException">The model, the text or the tokenizer cannot be used; the code says why.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static EvaluationResult Run(EvaluateOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        options = (EvaluateOptions)options.InGenAiFolders();
        var cache = new EvaluationCache(options.CacheFolder);
        if (options.AgainstPath is null)
        {
            return cache.GetOrEvaluate(options, "Evaluating", observer, cancellation);
        }

        PairedEvaluation pair = cache.GetOrCompare(options, options.AgainstPath, "Evaluating both models", observer, cancellation);
        return pair.Model with { Against = Comparison.Of(pair.Reference, pair.Model, pair.Divergence) };
    }

    /// <summary>Evaluates a model on windows that are cut already.</summary>
    internal static EvaluationResult Run(EvaluateOptions options, ModelFacts facts, TokenWindowSet windows, string phase,
        IJobObserver observer, CancellationToken cancellation)
    {
        using var model = new LanguageModel(facts, options.Threads, options.Device);
        RequireFits(options, facts, model.OutputsPerToken);
        List<double> losses = new(windows.Windows.Count);
        foreach (TokenBatch batch in TokenBatch.Group(windows.Windows, model.OutputsPerToken, facts.FixedBatch))
        {
            observer.Report(new JobProgress(phase, losses.Count, windows.Windows.Count, "windows"));
            IEnumerable<double> ofTokens = model.Run(batch, batch.Predicting, cancellation)
                .SelectMany(rows => rows.Losses(batch, options.Threads));
            losses.AddRange(OfWindows(ofTokens, options));
            RequireFinite(losses, facts);
        }

        observer.Report(new JobProgress(phase, losses.Count, losses.Count, "windows"));
        return Result(options, windows, losses);
    }

    /// <summary>Evaluates two models side by side, so that their predictions can be compared token by token.</summary>
    internal static PairedEvaluation RunPair(
        EvaluateOptions options, ModelFacts reference, ModelFacts facts, TokenWindowSet windows, string phase,
        IJobObserver observer, CancellationToken cancellation)
    {
        using var first = new LanguageModel(reference, options.Threads, options.Device, isAlone: false);
        using var second = new LanguageModel(facts, options.Threads, options.Device, isAlone: false);
        int outputs = first.OutputsPerToken + second.OutputsPerToken;
        RequireFits(options, facts, outputs);
        RequireSameVocabulary(first.MeasureVocabulary(options.Window, cancellation), second.MeasureVocabulary(options.Window, cancellation),
            facts, reference);
        List<TokenComparison> tokens = [];
        int predictions = options.Window - 1;
        foreach (TokenBatch batch in TokenBatch.Group(windows.Windows, outputs, facts.FixedBatch ?? reference.FixedBatch))
        {
            observer.Report(new JobProgress(phase, tokens.Count / predictions, windows.Windows.Count, "windows"));
            foreach ((LogitRows expected, LogitRows actual) in first.Run(batch, batch.Predicting, cancellation)
                .Zip(second.Run(batch, batch.Predicting, cancellation)))
            {
                tokens.AddRange(Compare(expected, actual, batch, options.Threads));
            }

            RequireFinite(tokens.Select(token => token.ReferenceLoss), reference);
            RequireFinite(tokens.Select(token => token.Loss), facts);
        }

        observer.Report(new JobProgress(phase, windows.Windows.Count, windows.Windows.Count, "windows"));
        return new PairedEvaluation(
            Result(options, windows, OfWindows(tokens.Select(token => token.ReferenceLoss), options)),
            Result(options, windows, OfWindows(tokens.Select(token => token.Loss), options)),
            Divergence.Of(tokens, predictions));
    }

    /// <summary>Compares two models' logits of the same tokens, which others follow.</summary>
    private static TokenComparison[] Compare(LogitRows expected, LogitRows actual, TokenBatch batch, int threads) =>
        expected.Measure(threads, (i, buffers) =>
        {
            ReadOnlySpan<float> one = expected.Row(i, buffers.First);
            ReadOnlySpan<float> other = actual.Row(i, buffers.Second);
            int next = batch.Ids[expected.Tokens[i] + 1];
            return new TokenComparison(
                TokenLoss.Of(one, next, buffers.Scratch),
                TokenLoss.Of(other, next, buffers.Scratch),
                LogitDifference.OfRow(one, other, buffers.Difference, buffers.Scratch));
        });

    /// <summary>Refuses to compare models that do not speak of the same tokens.</summary>
    internal static void RequireSameVocabulary(int first, int second, ModelFacts facts, ModelFacts reference)
    {
        if (first != second)
        {
            throw new ZqfpException("ZQFP3005",
                $"The model knows {second} tokens and '{reference.Path}' knows {first}: their predictions cannot be compared. Name the "
                + "model it was made from.",
                facts.Path);
        }
    }

    /// <summary>The mean loss of each window, of the losses of its tokens.</summary>
    private static List<double> OfWindows(IEnumerable<double> losses, EvaluateOptions options) =>
        [.. losses.Chunk(options.Window - 1).Select(window => window.Average())];

    private static EvaluationResult Result(EvaluateOptions options, TokenWindowSet windows, List<double> losses) => new()
    {
        Perplexity = Math.Exp(losses.Average()),
        Tokens = windows.TotalTokens,
        Windows = losses.Count,
        Window = options.Window,
        Predictions = (long)losses.Count * (options.Window - 1),
        WindowLosses = losses,
        TextHash = windows.Hash(),
        BeginningId = windows.BeginningId,
    };

    private static void RequireFits(EvaluateOptions options, ModelFacts facts, int outputsPerToken)
    {
        if ((long)options.Window * outputsPerToken > int.MaxValue / sizeof(float))
        {
            throw new ZqfpException(
                "ZQFP3003", $"The logits of one window of {options.Window} tokens exceed 2 GiB. Use a shorter --window.", facts.Path);
        }
    }

    private static void RequireFinite(IEnumerable<double> losses, ModelFacts facts)
    {
        if (!losses.All(double.IsFinite))
        {
            throw new ZqfpException("ZQFP3002",
                "The model's logits are not finite in a window of the text. Check the model; if it is float16, export it in float32.",
                facts.Path);
        }
    }
}
