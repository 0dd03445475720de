namespace Zqfp.Evaluation;

/// <summary>One question of a task, before it is tokenized.</summary>
/// <param name="Requests">What is asked: a context and what may follow it; one for each choice.</param>
/// <param name="Choices">The choices as written, whose lengths normalize the likelihoods; empty where there is no choice.</param>
/// <param name="Target">The right choice; 0 where there is none to make.</param>
internal sealed record TaskItem(IReadOnlyList<TaskText> Requests, IReadOnlyList<string> Choices, int Target);

/// <summary>A context and what follows it.</summary>
internal sealed record TaskText(string Context, string Continuation);
