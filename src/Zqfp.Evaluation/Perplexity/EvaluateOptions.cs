using Zqfp.CudaOps;

namespace Zqfp.Evaluation;

/// <summary>Which model to evaluate on which text.</summary>
public sealed record EvaluateOptions
{
    /// <summary>The model, an ONNX file.</summary>
    public required string ModelPath { get; init; }

    /// <summary>The text, or token ids.</summary>
    public required string TextPath { get; init; }

    /// <summary>The model's tokenizer; may be null where the text is token ids.</summary>
    public string? TokenizerPath { get; init; }

    /// <summary>How the text is read.</summary>
    public TextReading Reading { get; init; } = new();

    /// <summary>Tokens in a window, 2 or more. Windows do not overlap; a shorter tail is dropped.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Windows at most; 0 for all the text has.</summary>
    public int Windows { get; init; }

    /// <summary>A model to compare with over the same windows, such as the float model; null for none.</summary>
    public string? AgainstPath { get; init; }

    /// <summary>A folder that keeps results by content; null for none.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>Threads used at most; 0 for one a processor.</summary>
    public int Threads { get; init; }

    /// <summary>Where the quantized products compute.</summary>
    public ZqfpDevice Device { get; init; }
}
