using Microsoft.ML.OnnxRuntime;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>A model with the layers replaced so far, run whole from memory; nothing is written.</summary>
internal sealed class RewrittenModel : IDisposable
{
    private readonly ModelFacts _facts;
    private readonly ModelSession _session;
    private readonly TokenFeeds _feeds;

    /// <summary>Loads the model, whose file must stay open.</summary>
    public RewrittenModel(ModelRewriter rewriter, ModelFacts facts, int threads)
    {
        _facts = facts;
        _session = ModelSession.Open(rewriter.Whole(), new SessionSettings(threads, AllowsSpinning: false));
        _feeds = new TokenFeeds(facts);
    }

    /// <summary>The logits [windows, length, vocabulary] of a batch, which the caller disposes.</summary>
    /// <exception cref="ZqfpException">ZQFP1008: the model gives others.</exception>
    public OrtValue Run(TokenBatch batch, CancellationToken cancellation)
    {
        OrtValue logits = _session.Run(_feeds, batch, [_facts.Logits], cancellation)[0];
        long[] shape = logits.GetTensorTypeAndShape().Shape;
        if (LogitRows.Cover(shape, batch))
        {
            return logits;
        }

        logits.Dispose();
        throw new ZqfpException("ZQFP1008", LogitRows.Refuse(shape, batch), _facts.Path);
    }

    /// <summary>Mean loss of each window over the tokens that others follow, in nats.</summary>
    public double[] Losses(IReadOnlyList<int[]> windows, int threads, CancellationToken cancellation)
    {
        List<double> losses = [];
        foreach (TokenBatch batch in TokenBatch.Group(windows, _facts.Vocabulary ?? 1, _facts.FixedBatch))
        {
            using OrtValue logits = Run(batch, cancellation);
            var rows = new LogitRows(logits, batch.Predicting, areRows: false);
            losses.AddRange(rows.Losses(batch, threads).Chunk(batch.Length - 1).Select(window => window.Average()));
        }

        return [.. losses];
    }

    public void Dispose() => _session.Dispose();
}
