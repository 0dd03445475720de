using System.Text;
using System.Text.RegularExpressions;

namespace Zqfp.Evaluation;

/// <summary>Scores of a task from the scores of its questions, by lm-evaluation-harness's definitions.</summary>
internal static partial class TaskMetrics
{
    /// <summary>Whether each question is answered rightly, where that can be said.</summary>
    public static bool? IsRight(TaskDefinition task, TaskItem item, IReadOnlyList<RequestScore> scores) => task.Kind switch
    {
        TaskKind.MultipleChoice => Answer(item, scores, task.JudgesNormalized) == item.Target,
        TaskKind.Loglikelihood => scores[0].IsGreedy,
        _ => null,
    };

    /// <summary>The scores, the one that a gate judges first.</summary>
    public static IReadOnlyList<TaskMetric> Of(
        TaskDefinition task, IReadOnlyList<TaskItem> items, IReadOnlyList<IReadOnlyList<RequestScore>> scores)
    {
        switch (task.Kind)
        {
            case TaskKind.MultipleChoice:
                TaskMetric[] accuracies = [Accuracy("acc", isNormalized: false), Accuracy("acc_norm", isNormalized: true)];
                return task.JudgesNormalized ? [.. accuracies.Reverse()] : accuracies;
            case TaskKind.Loglikelihood:
                double[] losses = [.. scores.Select(score => -score[0].LogLikelihood)];
                double perplexity = Math.Exp(losses.Average());
                return [Mean("acc", [.. scores.Select(score => score[0].IsGreedy)]),
                    new TaskMetric("perplexity", perplexity, perplexity * Interval.StandardError(losses))];
            default:
                string[] texts = [.. items.Select(item => item.Requests[0].Continuation)];
                double loss = -scores.Sum(score => score[0].LogLikelihood);
                long bytes = texts.Sum(text => (long)Encoding.UTF8.GetByteCount(text));
                return
                [
                    new TaskMetric("word_perplexity", Math.Exp(loss / texts.Sum(text => Spaces().Split(text).Length)), null),
                    new TaskMetric("byte_perplexity", Math.Exp(loss / bytes), null),
                    new TaskMetric("bits_per_byte", loss / (bytes * Math.Log(2)), null),
                ];
        }

        TaskMetric Accuracy(string name, bool isNormalized) =>
            Mean(name, [.. items.Zip(scores, (item, score) => Answer(item, score, isNormalized) == item.Target)]);
    }

    /// <summary>The likeliest choice; of equal ones the first. Lengths are in code points.</summary>
    private static int Answer(TaskItem item, IReadOnlyList<RequestScore> scores, bool isNormalized) =>
        Enumerable.Range(0, scores.Count).MaxBy(i =>
            isNormalized ? scores[i].LogLikelihood / item.Choices[i].EnumerateRunes().Count() : scores[i].LogLikelihood);

    private static TaskMetric Mean(string name, bool[] right)
    {
        double[] values = [.. right.Select(isRight => isRight ? 1.0 : 0)];
        return new TaskMetric(name, values.Average(), Interval.StandardError(values));
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
