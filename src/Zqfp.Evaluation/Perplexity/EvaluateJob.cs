
namespace Zqfp.Evaluation;

/// <summary>Measures a model's perplexity on a text, alone or against another model.</summary>
internal static class EvaluateJob
{
    /// <summary>Evaluates a model, float or quantized. Logits are held for one batch only.</summary>
    /// <exception cref="ZqfpException">The model, the text or the tokenizer cannot be used; the code says why.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static EvaluationResult Run(EvaluateOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        options = options.InGenAiFolders();
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
        RequireFits(options, facts);
        using var model = new LanguageModel(facts, options.Threads, options.Device);
        List<double> losses = new(windows.Windows.Count);
        foreach (TokenBatch batch in TokenBatch.Group(windows.Windows, facts.Vocabulary ?? 1, facts.FixedBatch))
        {
            observer.Report(new JobProgress(phase, losses.Count, windows.Windows.Count, "windows"));
            using BatchLogits logits = model.Run(batch, cancellation);
            losses.AddRange(
                ForEachWindow(batch, options.Threads, i => TokenLoss.Mean(logits.Window(i), batch.Window(i), logits.Vocabulary)));
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
        RequireFits(options, facts);
        using var first = new LanguageModel(reference, options.Threads, options.Device, isAlone: false);
        using var second = new LanguageModel(facts, options.Threads, options.Device, isAlone: false);
        RequireSameVocabulary(first.MeasureVocabulary(options.Window, cancellation), second.MeasureVocabulary(options.Window, cancellation),
            facts, reference);
        List<double> referenceLosses = [];
        List<double> losses = [];
        LogitDifference total = default;
        foreach (TokenBatch batch in TokenBatch.Group(windows.Windows, 2 * (facts.Vocabulary ?? 1),
            facts.FixedBatch ?? reference.FixedBatch))
        {
            observer.Report(new JobProgress(phase, losses.Count, windows.Windows.Count, "windows"));
            using BatchLogits expected = first.Run(batch, cancellation);
            using BatchLogits actual = second.Run(batch, cancellation);
            (LogitDifference Difference, double ReferenceLoss, double Loss)[] measured = ForEachWindow(batch, options.Threads, i =>
            {
                // Once each: a window of float16 is converted when it is asked for. The last row predicts nothing that is known.
                ReadOnlySpan<float> one = expected.Window(i);
                ReadOnlySpan<float> other = actual.Window(i);
                int predicted = (batch.Length - 1) * actual.Vocabulary;
                return (
                    LogitDifference.Measure(one[..predicted], other[..predicted], actual.Vocabulary),
                    TokenLoss.Mean(one, batch.Window(i), expected.Vocabulary),
                    TokenLoss.Mean(other, batch.Window(i), actual.Vocabulary));
            });
            total = measured.Aggregate(total, (sum, window) => sum + window.Difference);
            referenceLosses.AddRange(measured.Select(window => window.ReferenceLoss));
            losses.AddRange(measured.Select(window => window.Loss));
            RequireFinite(referenceLosses, reference);
            RequireFinite(losses, facts);
        }

        observer.Report(new JobProgress(phase, losses.Count, losses.Count, "windows"));
        return new PairedEvaluation(
            Result(options, windows, referenceLosses),
            Result(options, windows, losses),
            new Divergence(total.Divergence / total.Rows, (double)total.Agreements / total.Rows));
    }

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

    /// <summary>Computes something of each window of a batch, on as many threads as allowed.</summary>
    internal static T[] ForEachWindow<T>(TokenBatch batch, int threads, Func<int, T> compute)
    {
        T[] results = new T[batch.Windows];
        Parallel.For(0, batch.Windows, new ParallelOptions { MaxDegreeOfParallelism = threads > 0 ? threads : -1 },
            i => results[i] = compute(i));
        return results;
    }

    private static EvaluationResult Result(EvaluateOptions options, TokenWindowSet windows, List<double> losses) => new()
    {
        Perplexity = Math.Exp(losses.Average()),
        Tokens = windows.TotalTokens,
        Windows = losses.Count,
        Window = options.Window,
        Predictions = (long)losses.Count * (options.Window - 1),
        WindowLosses = losses,
        TextHash = windows.Hash(),
    };

    private static void RequireFits(EvaluateOptions options, ModelFacts facts)
    {
        long outputs = (long)options.Window * (facts.Vocabulary ?? 1);
        if (outputs > int.MaxValue / sizeof(float))
        {
            throw new ZqfpException(
                "ZQFP3003", $"The logits of one window of {options.Window} tokens exceed 2 GiB. Use a shorter --window.", facts.Path);
        }
    }

    private static void RequireFinite(List<double> losses, ModelFacts facts)
    {
        if (losses.Exists(loss => !double.IsFinite(loss)))
        {
            throw new ZqfpException("ZQFP3002",
                "The model's logits are not finite in a window of the text. Check the model; if it is float16, export it in float32.",
                facts.Path);
        }
    }
}
