using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;
using Zqfp.Tokenizers;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Evaluation;

/// <summary>
/// A model loaded with the operators of this project, which gives the logits of token windows. Where the vocabulary is large, the head is a
/// session of its own that runs on a few tokens at a time: memory is bounded by <see cref="OutputsAtOnce"/>, not by the vocabulary.
/// </summary>
internal sealed class LanguageModel : IDisposable
{
    /// <summary>Logits held at a time, about: 64 MiB in float32.</summary>
    private const int OutputsAtOnce = 1 << 24;

    /// <summary>From this vocabulary on the head runs alone. Below it the logits of a batch take less than 256 MiB.</summary>
    private const int LargeVocabulary = 1 << 15;

    private readonly ModelFacts _facts;
    private readonly TokenFeeds _feeds;
    private readonly OnnxFile? _file;
    private readonly string _output;
    private readonly ModelSession _body;
    private readonly ModelSession? _head;

    /// <summary>Loads the model.</summary>
    /// <param name="facts">The model.</param>
    /// <param name="threads">Threads used at most; 0 for one a processor.</param>
    /// <param name="device">Where the quantized products compute.</param>
    /// <param name="isAlone">Whether no other model runs in turn with it; threads that wait may then spin.</param>
    /// <param name="remembers">Whether it is to be asked to <see cref="Remember"/>.</param>
    /// <exception cref="ZqfpException">ZQFP4nnn: ONNX Runtime or the model cannot be loaded.</exception>
    public LanguageModel(ModelFacts facts, int threads, ZqfpDevice device = ZqfpDevice.Cpu, bool isAlone = true, bool remembers = false)
    {
        _facts = facts;
        _feeds = new TokenFeeds(facts);
        _output = facts.Logits;
        if (facts.Vocabulary is null or < LargeVocabulary)
        {
            _body = ModelSession.Open(facts, new SessionSettings(threads, AllowsSpinning: isAlone), device);
            return;
        }

        _file = OnnxFile.Open(facts.Path);
        try
        {
            var graph = new GraphIndex(_file.Graph, facts.Path);
            var parts = new ModelRewriter(_file, graph);
            var settings = new SessionSettings(threads, AllowsSpinning: false);
            if (HeadCut.Find(graph, facts.Logits) is { } cut)
            {
                SliceModel body = parts.Body(cut, remembers ? [.. facts.Caches.Select(cache => cache.Output)] : []);
                _body = ModelSession.Open(body, settings, device, $"body of '{facts.Path}'");
                _output = body.Outputs[0];
                if (_body.Output(_output) is (var type, 3))
                {
                    _head = ModelSession.Open(parts.Head(cut, ((DataType)type, 3)), settings, device, $"head of '{facts.Path}'");
                    return;
                }

                _body.Dispose();
            }

            _output = facts.Logits;
            _body = ModelSession.Open(facts, settings with { AllowsSpinning = isAlone }, device);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Numbers that a run holds for each token: they bound the tokens of a batch.</summary>
    public int OutputsPerToken => _head is null ? _facts.Vocabulary ?? 1 : 1;

    /// <summary>How many tokens it gives logits for: what it really gives, for its file may not say.</summary>
    /// <param name="window">Tokens of a window: the model may take no other number.</param>
    /// <param name="cancellation">Stops the run.</param>
    /// <exception cref="ZqfpException">As <see cref="Run"/>.</exception>
    public int MeasureVocabulary(int window, CancellationToken cancellation) =>
        Run(new TokenBatch(new int[window], Windows: 1, Length: window), [0], cancellation).First().Vocabulary;

    /// <summary>Runs windows and keeps what the model has to know of them to run others behind them.</summary>
    /// <param name="batch">The windows.</param>
    /// <param name="cancellation">Stops the run.</param>
    /// <returns>The cache, which the caller disposes.</returns>
    /// <exception cref="ZqfpException">ZQFP1005: the model's inputs are not those of a decoder.</exception>
    public ContextCache Remember(TokenBatch batch, CancellationToken cancellation)
    {
        OrtValue[] kept = _body.Run(_feeds, batch, [.. _facts.Caches.Select(cache => cache.Output)], cancellation);
        return new ContextCache(batch.Past + batch.Length, _facts.Caches.Zip(kept).ToDictionary(
            pair => pair.First.Input, pair => pair.Second, StringComparer.Ordinal));
    }

    /// <summary>Runs a batch and gives the logits of some of its tokens, some at a time. The same vocabulary is cut the same way.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="tokens">The tokens wanted: their places in the batch's ids.</param>
    /// <param name="cancellation">Stops the run.</param>
    /// <returns>Logits, each valid until the next are asked for.</returns>
    /// <exception cref="ZqfpException">
    /// ZQFP1005, ZQFP1008, ZQFP1012: the model is none that text can be measured with. ZQFP0112: it gives fewer logits than there are ids.
    /// </exception>
    public IEnumerable<LogitRows> Run(TokenBatch batch, int[] tokens, CancellationToken cancellation)
    {
        using OrtValue made = _body.Run(_feeds, batch, [_output], cancellation)[0];
        OrtTensorTypeAndShapeInfo tensor = made.GetTensorTypeAndShape();
        if (!LogitRows.CanRead(tensor.ElementDataType))
        {
            throw new ZqfpException("ZQFP1012",
                $"The logits have type {tensor.ElementDataType}; evaluation knows float, float16 and double. Export the model in one of "
                + "these.",
                _facts.Path);
        }

        if (!LogitRows.Cover(tensor.Shape, batch))
        {
            long[] logits = _head is null ? tensor.Shape : [.. tensor.Shape[..^1], _facts.Vocabulary!.Value];
            throw new ZqfpException("ZQFP1008", LogitRows.Refuse(logits, batch), _facts.Path);
        }

        int vocabulary = _head is null ? (int)Math.Min(tensor.Shape[^1], int.MaxValue) : _facts.Vocabulary!.Value;
        RequireKnown(batch, vocabulary);
        int count = Math.Max(1, OutputsAtOnce / vocabulary);
        for (int start = 0; start < tokens.Length; start += count)
        {
            ArraySegment<int> part = new(tokens, start, Math.Min(count, tokens.Length - start));
            if (_head is null)
            {
                yield return new LogitRows(made, part, areRows: false);
                continue;
            }

            using OrtValue hidden = HiddenRows.Of(made, part);
            using OrtValue rowsOfPart = _head.Run([hidden], [_facts.Logits], cancellation)[0];
            LogitRows logits = new(rowsOfPart, part, areRows: true);
            RequireKnown(batch, logits.Vocabulary);
            yield return logits;
        }
    }

    public void Dispose()
    {
        _head?.Dispose();
        _body?.Dispose();
        _file?.Dispose();
    }

    /// <summary>Refuses tokens that the model gives no logits for, whatever its file declares.</summary>
    private void RequireKnown(TokenBatch batch, int vocabulary)
    {
        if (batch.Ids.Max() is var largest && largest >= vocabulary)
        {
            throw new ZqfpException(TextCodes.TokenOutsideVocabulary,
                $"The text has the token id {largest}, and the model gives {vocabulary} logits a token. Give the model's own tokenizer, or "
                + "name the output that holds the logits with --logits.",
                _facts.Path);
        }
    }
}
