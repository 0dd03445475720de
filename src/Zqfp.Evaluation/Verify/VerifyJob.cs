using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>Feeds the same tokens to two models and compares their logits.</summary>
internal static class VerifyJob
{
    /// <summary>Compares two models, of whatever graphs and inputs.</summary>
    /// <exception cref="ZqfpException">
    /// A model or the text cannot be used, or the models do not fit each other; the code says why.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static VerifyResult Run(VerifyOptions options, IJobObserver observer, CancellationToken cancellation)
    {
        ModelFacts reference = ModelFacts.Read(GenAiFolder.ModelOf(options.ReferencePath), options.Logits);
        ModelFacts facts = ModelFacts.Read(GenAiFolder.ModelOf(options.ModelPath), options.Logits);
        var inputs = new InputFiles();
        AddTo(inputs, reference, cancellation);
        AddTo(inputs, facts, cancellation);
        inputs.AddTexts(options.TextPath, options.TokenizerPath, cancellation);
        reference.RequireWindow(options.Window);
        facts.RequireWindow(options.Window);
        using var first = new LanguageModel(reference, options.Threads, options.Device, isAlone: false);
        using var second = new LanguageModel(facts, options.Threads, options.Device, isAlone: false);
        int probe = Math.Max(2, options.Window); // What predicts nothing is refused below.
        int vocabulary = first.MeasureVocabulary(probe, cancellation);
        EvaluateJob.RequireSameVocabulary(vocabulary, second.MeasureVocabulary(probe, cancellation), facts, reference);
        IReadOnlyList<int[]> windows = options.TextPath is null
            ? TokenWindows.Random(vocabulary, options.Window, options.Windows, options.Seed)
            : TokenWindowSet.Load(options.TextPath, options.TokenizerPath, options.Window, options.Windows,
                facts with { Vocabulary = vocabulary }, cancellation: cancellation).Windows;
        IReadOnlyList<TokenBatch> batches = TokenBatch.Group(
            windows, first.OutputsPerToken + second.OutputsPerToken, facts.FixedBatch ?? reference.FixedBatch);
        LogitDifference total = Compare(first, second, batches, options, observer, cancellation);
        inputs.RequireUnchanged(cancellation);
        if (!double.IsFinite(total.Sum) || !double.IsFinite(total.Divergence))
        {
            throw new ZqfpException("ZQFP3002",
                "The logits of one of the models are not finite. Check the models; if one is float16, export it in float32.",
                options.ModelPath);
        }

        return new VerifyResult
        {
            Reference = options.ReferencePath,
            Model = options.ModelPath,
            Input = options.TextPath ?? "random",
            Window = options.Window,
            Windows = windows.Count,
            Tokens = total.Rows,
            Vocabulary = vocabulary,
            LargestDifference = total.Largest,
            MeanDifference = total.Sum / ((double)total.Rows * vocabulary),
            KullbackLeibler = total.Divergence / total.Rows,
            LargestKullbackLeibler = total.LargestDivergence,
            Top1Agreement = (double)total.Agreements / total.Rows,
        };
    }

    /// <summary>A model's files, as they were when its facts were read.</summary>
    private static void AddTo(InputFiles inputs, ModelFacts facts, CancellationToken cancellation)
    {
        inputs.Add(facts.Path, facts.Stamp, cancellation);
        using OnnxFile file = OnnxFile.Open(facts.Path);
        file.AddTo(inputs, cancellation);
    }

    private static LogitDifference Compare(
        LanguageModel first, LanguageModel second, IReadOnlyList<TokenBatch> batches, VerifyOptions options, IJobObserver observer,
        CancellationToken cancellation)
    {
        LogitDifference total = default;
        int done = 0;
        int all = batches.Sum(batch => batch.Windows);
        foreach (TokenBatch batch in batches)
        {
            observer.Report(new JobProgress("Comparing", done, all, "windows"));
            foreach ((LogitRows expected, LogitRows actual) in first.Run(batch, batch.Tokens, cancellation)
                .Zip(second.Run(batch, batch.Tokens, cancellation)))
            {
                total = expected.Differences(actual, options.Threads)
                    .Aggregate(total, (sum, difference) => sum + difference);
            }

            done += batch.Windows;
        }

        observer.Report(new JobProgress("Comparing", done, all, "windows"));
        return total;
    }
}
