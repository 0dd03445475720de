namespace Zqfp.Quantization.Tests;

/// <summary>Whose habits a graph is written in.</summary>
public enum Idiom
{
    /// <summary>PyTorch's dynamo exporter: weights [N, K] behind a Transpose, or a Gemm where rows were flattened.</summary>
    Dynamo,

    /// <summary>PyTorch's TorchScript exporter: folded weights [K, N] without names, shapes from Constant nodes, norms in parts.</summary>
    TorchScript,

    /// <summary>The builder of ONNX Runtime GenAI: fused attention and norms, caches, packed projections.</summary>
    GenAi,
}

/// <summary>How a block's attention and MLP stand to each other.</summary>
internal enum Residual
{
    /// <summary>One after the other.</summary>
    Sequential,

    /// <summary>Side by side, each behind a norm of its own.</summary>
    ParallelTwoNorms,

    /// <summary>Side by side behind one norm: both read the same value.</summary>
    ParallelOneNorm,
}

/// <summary>What tells one family of decoders from another, as far as a graph shows it.</summary>
internal sealed record Family(string Name)
{
    public bool IsRms { get; init; } = true;

    public bool HasNormBias { get; init; }

    public Residual Residual { get; init; }

    /// <summary>Norms behind attention and MLP too.</summary>
    public bool HasPostNorms { get; init; }

    /// <summary>Queries and keys are normed head by head.</summary>
    public bool HasHeadNorms { get; init; }

    public bool HasPackedProjection { get; init; }

    public bool HasProjectionBias { get; init; }

    public bool HasMlpBias { get; init; }

    public bool HasHeadBias { get; init; }

    /// <summary>A gate multiplies the MLP's inner values.</summary>
    public bool IsGated { get; init; } = true;

    public string Activation { get; init; } = "Sigmoid";

    public int KeyHeads { get; init; } = 4;

    /// <summary>Values of a head that are rotated; 0 for none.</summary>
    public int Rotated { get; init; } = 16;

    public bool HasLearnedPositions { get; init; }

    /// <summary>Attention falls off linearly with distance (ALiBi).</summary>
    public bool HasSlopes { get; init; }

    public bool IsTied { get; init; }

    public bool HasEmbeddingNorm { get; init; }

    public float EmbeddingScale { get; init; } = 1;

    /// <summary>The logits are scaled by this.</summary>
    public float LogitScale { get; init; } = 1;

    /// <summary>The logits are squashed to this range; 0 for not at all.</summary>
    public float SoftCap { get; init; }

    /// <summary>Linear weights of GPT-2 are [K, N] and multiply flattened rows.</summary>
    public bool IsConv1D { get; init; }

    /// <summary>Layers of a block.</summary>
    public int Layers => (HasPackedProjection ? 2 : 4) + (IsGated ? 3 : 2);

    public static IReadOnlyList<Family> All { get; } =
    [
        new("GPT-NeoX")
        {
            IsRms = false,
            HasNormBias = true,
            Residual = Residual.ParallelTwoNorms,
            HasPackedProjection = true,
            HasProjectionBias = true,
            HasMlpBias = true,
            IsGated = false,
            Activation = "Gelu",
            Rotated = 4,
        },
        new("GPT-J")
        {
            IsRms = false,
            HasNormBias = true,
            Residual = Residual.ParallelOneNorm,
            HasMlpBias = true,
            IsGated = false,
            Activation = "Gelu",
            Rotated = 8,
            HasHeadBias = true,
        },
        new("Falcon 7B")
        {
            IsRms = false,
            HasNormBias = true,
            Residual = Residual.ParallelOneNorm,
            HasPackedProjection = true,
            KeyHeads = 1,
            IsGated = false,
            Activation = "Gelu",
            IsTied = true,
        },
        new("Falcon 40B")
        {
            IsRms = false,
            HasNormBias = true,
            Residual = Residual.ParallelTwoNorms,
            HasPackedProjection = true,
            KeyHeads = 2,
            IsGated = false,
            Activation = "Gelu",
            IsTied = true,
        },
        new("Phi")
        {
            IsRms = false,
            HasNormBias = true,
            Residual = Residual.ParallelOneNorm,
            HasProjectionBias = true,
            HasMlpBias = true,
            IsGated = false,
            Activation = "Gelu",
            Rotated = 8,
            HasHeadBias = true,
        },
        new("StableLM") { IsRms = false, HasNormBias = true, Residual = Residual.ParallelOneNorm, Rotated = 4, HasHeadNorms = true },
        new("Cohere") { IsRms = false, Residual = Residual.ParallelOneNorm, KeyHeads = 2, IsTied = true, LogitScale = 0.0625f },
        new("BLOOM")
        {
            IsRms = false,
            HasNormBias = true,
            HasPackedProjection = true,
            HasProjectionBias = true,
            HasMlpBias = true,
            IsGated = false,
            Activation = "Gelu",
            Rotated = 0,
            HasSlopes = true,
            IsTied = true,
            HasEmbeddingNorm = true,
        },
        new("Gemma 2") { HasPostNorms = true, KeyHeads = 2, Activation = "Gelu", IsTied = true, EmbeddingScale = 5.6568f, SoftCap = 30 },
        new("Gemma 3")
        {
            HasPostNorms = true,
            HasHeadNorms = true,
            KeyHeads = 1,
            Activation = "Gelu",
            IsTied = true,
            EmbeddingScale = 5.6568f,
        },
        new("Qwen 2") { KeyHeads = 2, HasProjectionBias = true },
        new("Qwen 3") { KeyHeads = 2, HasHeadNorms = true },
        new("Mistral") { KeyHeads = 2 },
        new("MPT")
        {
            IsRms = false,
            HasPackedProjection = true,
            IsGated = false,
            Activation = "Gelu",
            Rotated = 0,
            HasSlopes = true,
            IsTied = true,
        },
        new("StarCoder 2")
        {
            IsRms = false,
            HasNormBias = true,
            KeyHeads = 2,
            HasProjectionBias = true,
            HasMlpBias = true,
            IsGated = false,
            Activation = "Gelu",
            IsTied = true,
        },
        new("OLMo") { IsRms = false },
        new("GPT-2")
        {
            IsRms = false,
            HasNormBias = true,
            HasPackedProjection = true,
            HasProjectionBias = true,
            HasMlpBias = true,
            IsGated = false,
            Activation = "Gelu",
            Rotated = 0,
            HasLearnedPositions = true,
            IsTied = true,
            IsConv1D = true,
        },
        new("OPT")
        {
            IsRms = false,
            HasNormBias = true,
            HasProjectionBias = true,
            HasMlpBias = true,
            IsGated = false,
            Activation = "Relu",
            Rotated = 0,
            HasLearnedPositions = true,
            IsTied = true,
        },
    ];
}
