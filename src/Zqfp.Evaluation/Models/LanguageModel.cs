using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;

namespace Zqfp.Evaluation;

/// <summary>A model loaded with the operators of this project, which gives the logits of token windows.</summary>
internal sealed class LanguageModel : IDisposable
{
    private readonly ModelFacts _facts;
    private readonly ModelSession _model;
    private readonly TokenFeeds _feeds;

    /// <summary>Loads the model.</summary>
    /// <param name="facts">The model.</param>
    /// <param name="threads">Threads used at most; 0 for one a processor.</param>
    /// <param name="device">Where the quantized products compute.</param>
    /// <param name="isAlone">Whether no other model runs in turn with it; threads that wait may then spin.</param>
    /// <exception cref="ZqfpException">ZQFP4nnn: ONNX Runtime or the model cannot be loaded.</exception>
    public LanguageModel(ModelFacts facts, int threads, ZqfpDevice device = ZqfpDevice.Cpu, bool isAlone = true)
    {
        _facts = facts;
        _model = ModelSession.Open(facts, new SessionSettings(threads, AllowsSpinning: isAlone), device);
        _feeds = new TokenFeeds(facts);
    }

    /// <summary>How many tokens it gives logits for: what it really gives, for its file may not say.</summary>
    /// <param name="window">Tokens of a window: the model may take no other number.</param>
    /// <param name="cancellation">Stops the run.</param>
    /// <exception cref="ZqfpException">As <see cref="Run"/>.</exception>
    public int MeasureVocabulary(int window, CancellationToken cancellation)
    {
        using BatchLogits logits = Run(new TokenBatch(new int[window], Windows: 1, Length: window), cancellation);
        return logits.Vocabulary;
    }

    /// <summary>Runs a batch.</summary>
    /// <returns>The logits, which the caller disposes before the next batch.</returns>
    /// <exception cref="ZqfpException">ZQFP1005, ZQFP1008, ZQFP1012: the model is none that text can be measured with.</exception>
    public BatchLogits Run(TokenBatch batch, CancellationToken cancellation)
    {
        OrtValue[] inputs = [.. _model.Inputs.Select(input => _feeds.Create(input, batch))];
        try
        {
            return BatchLogits.Of(_model.Run(inputs, [_facts.Logits], cancellation)[0], batch, _facts.Path);
        }
        finally
        {
            Array.ForEach(inputs, input => input.Dispose());
        }
    }

    public void Dispose() => _model.Dispose();
}
