namespace Zqfp.Evaluation;

/// <summary>How fast a model reads a prompt and generates; times are medians of the rounds.</summary>
internal sealed record BenchResult
{
    /// <summary>The model.</summary>
    public required string Model { get; init; }

    /// <summary>Where it computed: <c>cpu</c>, <c>cuda</c> or <c>cuda-products</c>.</summary>
    public required string Device { get; init; }

    /// <summary>The processor's name.</summary>
    public required string Processor { get; init; }

    /// <summary>The instruction sets that the operators' kernels use of it.</summary>
    public required string Kernels { get; init; }

    /// <summary>Threads that computed.</summary>
    public required int Threads { get; init; }

    /// <summary>The GPU's name, where one computed.</summary>
    public string? Gpu { get; init; }

    /// <summary>Version of ONNX Runtime.</summary>
    public required string OnnxRuntime { get; init; }

    /// <summary>Rounds measured.</summary>
    public required int Rounds { get; init; }

    /// <summary>Seconds to open the model.</summary>
    public required double LoadSeconds { get; init; }

    /// <summary>Whether earlier tokens are kept in a cache; otherwise all of them are computed again for each new one.</summary>
    public required bool HasCache { get; init; }

    /// <summary>Tokens of the prompt.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>Milliseconds for the prompt.</summary>
    public required double PromptMilliseconds { get; init; }

    /// <summary>Tokens of the prompt a second.</summary>
    public double PromptTokensPerSecond => PromptTokens / PromptMilliseconds * 1000;

    /// <summary>Tokens generated after the prompt.</summary>
    public required int GeneratedTokens { get; init; }

    /// <summary>Milliseconds for each of them.</summary>
    public required double MillisecondsPerToken { get; init; }

    /// <summary>Tokens generated a second.</summary>
    public double TokensPerSecond => 1000 / MillisecondsPerToken;
}
