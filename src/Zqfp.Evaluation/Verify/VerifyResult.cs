namespace Zqfp.Evaluation;

/// <summary>How far two models are apart on the same tokens.</summary>
internal sealed record VerifyResult
{
    /// <summary>The model that counts as right.</summary>
    public required string Reference { get; init; }

    /// <summary>The model compared with it.</summary>
    public required string Model { get; init; }

    /// <summary>What was fed: <c>random</c>, or the text's path.</summary>
    public required string Input { get; init; }

    /// <summary>Tokens in a window.</summary>
    public required int Window { get; init; }

    /// <summary>Windows fed.</summary>
    public required int Windows { get; init; }

    /// <summary>Tokens whose logits were compared.</summary>
    public required long Tokens { get; init; }

    /// <summary>Logits of a token.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>Largest absolute difference of two logits.</summary>
    public required double LargestDifference { get; init; }

    /// <summary>Mean absolute difference of two logits.</summary>
    public required double MeanDifference { get; init; }

    /// <summary>Mean Kullback-Leibler divergence from the reference's distribution, in nats per token.</summary>
    public required double KullbackLeibler { get; init; }

    /// <summary>The largest of a token.</summary>
    public required double LargestKullbackLeibler { get; init; }

    /// <summary>Share of the tokens for which both find the same next token likeliest.</summary>
    public required double Top1Agreement { get; init; }

    /// <summary>Whether every logit is the same number.</summary>
    public bool Identical => LargestDifference == 0;
}
