using Zqfp.CudaOps;

namespace Zqfp.Evaluation;

/// <summary>Which two models to compare, and what to feed them.</summary>
internal sealed record VerifyOptions
{
    /// <summary>The model that counts as right.</summary>
    public required string ReferencePath { get; init; }

    /// <summary>The model that is compared with it.</summary>
    public required string ModelPath { get; init; }

    /// <summary>The output of both that holds the logits; null to choose it by what the graph shows.</summary>
    public string? Logits { get; init; }

    /// <summary>A text to feed; null for random tokens.</summary>
    public string? TextPath { get; init; }

    /// <summary>The tokenizer of the text; may be null where it is token ids.</summary>
    public string? TokenizerPath { get; init; }

    /// <summary>Tokens in a window, 2 or more.</summary>
    public int Window { get; init; } = 128;

    /// <summary>Windows; of a text at most so many.</summary>
    public int Windows { get; init; } = 8;

    /// <summary>Seed of the random tokens: the same seed gives the same tokens on every machine.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Where both models compute.</summary>
    public ZqfpDevice Device { get; init; }

    /// <summary>Threads used at most; 0 for one a processor.</summary>
    public int Threads { get; init; }
}
