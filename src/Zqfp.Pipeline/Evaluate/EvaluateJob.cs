using System.Numerics.Tensors;
using Zqfp.CudaOps;
using Zqfp.OnnxRuntime;
using Zqfp.Pipeline.Calibration;
using Zqfp.Pipeline.Diagnostics;

namespace Zqfp.Pipeline.Evaluate;

/// <summary>Measures a model's perplexity on a text.</summary>
public static class EvaluateJob
{
    /// <summary>Evaluates a model, float or quantized.</summary>
    /// <exception cref="PipelineException">The model, the text or the tokenizer cannot be used; the code says why.</exception>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static EvaluationResult Run(EvaluateOptions options, IJobObserver observer, CancellationToken cancellation) =>
        DiagnosticTranslator.Run(() =>
        {
            ModelFacts facts = ModelFacts.Read(options.ModelPath);
            TokenWindowSet windows = TokenWindowSet.Load(options.TextPath, options.TokenizerPath, options.Window, options.Windows, facts);
            return Run(options, facts, windows, "Evaluating", observer, cancellation);
        });

    /// <summary>Evaluates a model on windows that are cut already.</summary>
    internal static EvaluationResult Run(EvaluateOptions options, ModelFacts facts, TokenWindowSet windows, string phase, IJobObserver observer, CancellationToken cancellation)
    {
        long outputs = (long)options.Window * (facts.Vocabulary ?? 1);
        if (outputs > int.MaxValue / sizeof(float))
        {
            throw new PipelineException("ZQFP3003", $"The logits of one window of {options.Window} tokens exceed 2 GiB. Use a shorter --window.", options.ModelPath);
        }

        using var environment = new OrtEnvironment();
        using OrtOperatorDomain operators = ZqfpOperators.CreateDomain(environment);
        using ModelSession model = ModelSession.Open(environment, operators, facts, options.Threads);
        OrtSession session = model.Session;
        var feeds = new TokenFeeds(environment, facts);
        List<double> losses = new(windows.Windows.Count);
        foreach (TokenBatch batch in TokenBatch.Group(windows.Windows, facts.Vocabulary ?? 1))
        {
            observer.Report(new JobProgress(phase, losses.Count, windows.Windows.Count, "windows"));
            OrtValue[] inputs = [.. session.Inputs.Select(input => feeds.Create(input, batch))];
            try
            {
                using OrtValue logits = session.Run([.. session.Inputs.Select(input => input.Name)], inputs, [facts.Logits], cancellation)[0];
                losses.AddRange(Losses(logits, batch, options));
            }
            finally
            {
                Array.ForEach(inputs, input => input.Dispose());
            }
        }

        observer.Report(new JobProgress(phase, losses.Count, losses.Count, "windows"));
        return new EvaluationResult
        {
            Perplexity = Math.Exp(losses.Average()),
            Tokens = windows.TotalTokens,
            Windows = losses.Count,
            Window = options.Window,
            Predictions = (long)losses.Count * (options.Window - 1),
            WindowLosses = losses,
        };
    }

    private static double[] Losses(OrtValue logits, TokenBatch batch, EvaluateOptions options)
    {
        long[] shape = [.. logits.Shape];
        if (shape is not [var rows, var length, var vocabulary] || rows != batch.Windows || length != batch.Length)
        {
            throw new PipelineException("ZQFP1008", $"The model gives logits of shape [{string.Join(", ", shape)}] for ids [{batch.Windows}, {batch.Length}]: perplexity needs the logits of every token. Export it without pruning the head to the last token.", options.ModelPath);
        }

        if (logits.ElementType is not (OrtElementType.Float or OrtElementType.Float16))
        {
            throw new PipelineException("ZQFP1012", $"The logits have type {logits.ElementType}; evaluation knows float and float16. Export the model in one of these.", options.ModelPath);
        }

        int window = checked((int)(length * vocabulary));
        double[] losses = new double[batch.Windows];
        var threads = new ParallelOptions { MaxDegreeOfParallelism = options.Threads > 0 ? options.Threads : -1 };
        Parallel.For(0, batch.Windows, threads, i =>
        {
            float[]? converted = null;
            if (logits.ElementType == OrtElementType.Float16)
            {
                converted = new float[window];
                TensorPrimitives.ConvertToSingle(logits.AsReadOnlySpan<Half>().Slice(i * window, window), converted);
            }

            ReadOnlySpan<float> values = converted ?? logits.AsReadOnlySpan<float>().Slice(i * window, window);
            losses[i] = TokenLoss.Mean(values, batch.Ids.AsSpan(i * batch.Length, batch.Length), (int)vocabulary);
        });
        int bad = Array.FindIndex(losses, loss => !double.IsFinite(loss));
        return bad < 0 ? losses : throw new PipelineException("ZQFP3002", $"The model's logits are not finite in a window of the text. Check the model; if it is float16, export it in float32.", options.ModelPath);
    }
}
