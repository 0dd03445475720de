namespace Zqfp.Evaluation;

/// <summary>What a task asks, in lm-evaluation-harness's terms.</summary>
internal enum TaskKind
{
    /// <summary>Which of several continuations is likeliest.</summary>
    MultipleChoice,

    /// <summary>How likely the one continuation is, and whether greedy decoding gives it.</summary>
    Loglikelihood,

    /// <summary>How likely a whole text is.</summary>
    LoglikelihoodRolling,
}
