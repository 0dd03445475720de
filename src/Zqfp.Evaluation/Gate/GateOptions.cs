using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>Which quantized model to compare with which float model, and how much it may lose.</summary>
internal sealed record GateOptions
{
    /// <summary>The quantized model: an ONNX file, or a GenAI folder that has one.</summary>
    public required string ModelPath { get; init; }

    /// <summary>The float model it was made from, or a GenAI folder that has it.</summary>
    public required string FloatModelPath { get; init; }

    /// <summary>The output of both that holds the logits; null to choose it by what the graph shows.</summary>
    public string? Logits { get; init; }

    /// <summary>The text, or token ids; null where only tasks are gated.</summary>
    public string? TextPath { get; init; }

    /// <summary>Tasks that both models answer, as <see cref="TaskFile.Load"/> takes them.</summary>
    public IReadOnlyList<string> Tasks { get; init; } = [];

    /// <summary>
    /// Largest allowed drop of a task's accuracy against the float model's, as a fraction of the questions. It fails where the lower end of
    /// the drop's 95 % interval is above it.
    /// </summary>
    public double MaxDrop { get; init; }

    /// <summary>
    /// Largest allowed mean Kullback-Leibler divergence from the float model, in nats a token; null for no limit. Judged as
    /// <see cref="MaxPerplexityIncrease"/> is.
    /// </summary>
    public double? MaxKullbackLeibler { get; init; }

    /// <summary>Smallest allowed share of tokens that both models find likeliest; null for no limit. Judged the same way.</summary>
    public double? MinTop1Agreement { get; init; }

    /// <summary>
    /// The model's tokenizer; may be null where the text is token ids, or where the model is a GenAI folder that has one.
    /// </summary>
    public string? TokenizerPath { get; init; }

    /// <summary>How the text is read.</summary>
    public TextReading Reading { get; init; } = new();

    /// <summary>Tokens in a window, 2 or more.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Windows at most; 0 for all the text has.</summary>
    public int Windows { get; init; }

    /// <summary>
    /// Largest allowed increase of perplexity over the float model's, as a fraction (0.05 for 5 %); null for no limit. It fails where
    /// the lower end of the increase's 95 % interval is above it; with fewer than 8 windows, where the measured increase is.
    /// </summary>
    public double? MaxPerplexityIncrease { get; init; }

    /// <summary>Largest allowed perplexity; null for no limit.</summary>
    public double? MaxPerplexity { get; init; }

    /// <summary>The file of accepted results; null for none. A missing file, or a model it has no entry for, is an error.</summary>
    public string? BaselinePath { get; init; }

    /// <summary>The model's name in the baseline; null for its file name.</summary>
    public string? BaselineName { get; init; }

    /// <summary>
    /// Largest allowed increase of perplexity over the baseline's, as a fraction; judged as <see cref="MaxPerplexityIncrease"/> is.
    /// </summary>
    public double MaxRegression { get; init; }

    /// <summary>Whether this result becomes the baseline. The other limits still hold.</summary>
    public bool UpdateBaseline { get; init; }

    /// <summary>
    /// Whether to measure how far the predictions are apart as well. It runs both models side by side, so it takes the float
    /// model's result from the cache only where the divergence of this very pair is there too.
    /// </summary>
    public bool Divergence { get; init; }

    /// <summary>Whether the divergence is measured: asked for, or needed for a limit.</summary>
    internal bool NeedsDivergence => Divergence || MaxKullbackLeibler is not null || MinTop1Agreement is not null;

    /// <summary>Where the products of quantized layers compute.</summary>
    public ZqfpDevice Device { get; init; }

    /// <summary>A folder that keeps evaluation results by content, so that another limit needs no evaluation; null for none.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>Threads used at most; 0 for one a processor.</summary>
    public int Threads { get; init; }

    /// <summary>These options with the models and, where none is named, the tokenizer of the GenAI folders that the paths are.</summary>
    /// <exception cref="ZqfpException">ZQFP0130: a folder's configuration names no model.</exception>
    internal GateOptions InGenAiFolders() => this with
    {
        ModelPath = GenAiFolder.ModelOf(ModelPath),
        FloatModelPath = GenAiFolder.ModelOf(FloatModelPath),
        TokenizerPath = TokenizerPath ?? GenAiFolder.Find(ModelPath)?.TokenizerPath,
    };
}
