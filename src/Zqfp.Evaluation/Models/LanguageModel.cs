using Zqfp.CudaOps;

namespace Zqfp.Evaluation;

/// <summary>A model loaded with the operators of this project, which gives the logits of token windows.</summary>
internal sealed class LanguageModel : IDisposable
{
    private readonly ModelFacts _facts;
    private readonly OrtEnvironment _environment;
    private readonly OrtOperatorDomain _operators;
    private readonly ModelSession _model;
    private readonly TokenFeeds _feeds;

    /// <summary>Loads the model.</summary>
    /// <param name="facts">The model.</param>
    /// <param name="threads">Threads used at most; 0 for one a processor.</param>
    /// <param name="device">Where the quantized products compute.</param>
    /// <param name="isAlone">Whether no other model runs in turn with it; threads that wait may then spin.</param>
    /// <exception cref="ZqfpException">ZQFP4nnn: ONNX Runtime or the model cannot be loaded.</exception>
    public LanguageModel(ModelFacts facts, int threads, OperatorDevice device = OperatorDevice.Cpu, bool isAlone = true)
    {
        _facts = facts;
        _environment = new OrtEnvironment();
        try
        {
            _operators = ZqfpOperators.CreateDomain(_environment, device);
            _model = ModelSession.Open(_environment, _operators, facts, new OrtSessionOptions { IntraOpThreads = threads, AllowSpinning = isAlone });
        }
        catch
        {
            _operators?.Dispose();
            _environment.Dispose();
            throw;
        }

        _feeds = new TokenFeeds(_environment, facts);
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
        OrtSession session = _model.Session;
        OrtValue[] inputs = [.. session.Inputs.Select(input => _feeds.Create(input, batch))];
        try
        {
            OrtValue logits = session.Run([.. session.Inputs.Select(input => input.Name)], inputs, [_facts.Logits], cancellation)[0];
            return BatchLogits.Of(logits, batch, _facts.Path);
        }
        finally
        {
            Array.ForEach(inputs, input => input.Dispose());
        }
    }

    public void Dispose()
    {
        _model.Dispose();
        _operators.Dispose();
        _environment.Dispose();
    }
}
