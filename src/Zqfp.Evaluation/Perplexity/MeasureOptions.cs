using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;

namespace Zqfp.Evaluation;

/// <summary>Which model to measure and how, whatever on.</summary>
internal record MeasureOptions
{
    /// <summary>The model: an ONNX file, or a GenAI folder that has one.</summary>
    public required string ModelPath { get; init; }

    /// <summary>The output that holds the logits; null to choose it by what the graph shows.</summary>
    public string? Logits { get; init; }

    /// <summary>
    /// The model's tokenizer; may be null where the text is token ids, or where the model is a GenAI folder that has one.
    /// </summary>
    public string? TokenizerPath { get; init; }

    /// <summary>How texts are read.</summary>
    public TextReading Reading { get; init; } = new();

    /// <summary>Tokens in a window, 2 or more; of a question, tokens at most.</summary>
    public int Window { get; init; } = 512;

    /// <summary>A model to compare with on the same tokens, such as the float model; null for none.</summary>
    public string? AgainstPath { get; init; }

    /// <summary>A folder that keeps results by content; null for none.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>Threads used at most; 0 for one a processor.</summary>
    public int Threads { get; init; }

    /// <summary>Where the quantized products compute.</summary>
    public ZqfpDevice Device { get; init; }

    /// <summary>These options with the models and, where none is named, the tokenizer of the GenAI folders that the paths are.</summary>
    /// <exception cref="ZqfpException">ZQFP0130: a folder's configuration names no model.</exception>
    internal MeasureOptions InGenAiFolders() => this with
    {
        ModelPath = GenAiFolder.ModelOf(ModelPath),
        AgainstPath = AgainstPath is null ? null : GenAiFolder.ModelOf(AgainstPath),
        TokenizerPath = TokenizerPath ?? GenAiFolder.Find(ModelPath)?.TokenizerPath,
    };
}
