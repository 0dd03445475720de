using Zqfp.CudaOps;

namespace Zqfp.Evaluation;

/// <summary>Which model to time, on what.</summary>
internal sealed record BenchOptions
{
    /// <summary>The model, or a GenAI folder.</summary>
    public required string ModelPath { get; init; }

    /// <summary>The output that holds the logits; null to choose it by what the graph shows.</summary>
    public string? Logits { get; init; }

    /// <summary>Tokens of the prompt.</summary>
    public int Prompt { get; init; } = 256;

    /// <summary>Tokens generated after it.</summary>
    public int Tokens { get; init; } = 64;

    /// <summary>Rounds that are measured, after one that is not.</summary>
    public int Rounds { get; init; } = 5;

    /// <summary>Threads; 0 for one a processor.</summary>
    public int Threads { get; init; }

    /// <summary>Where the model computes.</summary>
    public ZqfpDevice Device { get; init; }
}
