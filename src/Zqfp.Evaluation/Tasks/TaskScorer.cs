using System.Numerics.Tensors;

namespace Zqfp.Evaluation;

/// <summary>Has a model score requests.</summary>
internal static class TaskScorer
{
    private const int TokensPerBatch = 2048;
    private const int OutputsPerBatch = 1 << 27;

    /// <summary>
    /// Scores requests in batches of similar length, the longest first. Shorter ones are filled up behind, where a causal model does not
    /// look.
    /// </summary>
    /// <returns>A score for each request, in their order.</returns>
    public static RequestScore[] Score(
        LanguageModel model, ModelFacts facts, IReadOnlyList<TaskRequest> requests, int threads, Action<int> progress,
        CancellationToken cancellation)
    {
        var scores = new RequestScore[requests.Count];
        int[] order = [.. Enumerable.Range(0, requests.Count).OrderByDescending(i => requests[i].Ids.Length)];
        for (int done = 0; done < order.Length;)
        {
            progress(done);
            int length = facts.FixedWindow ?? (requests[order[done]].Ids.Length - 1);
            int most = facts.FixedBatch ?? Math.Max(1, Math.Min(TokensPerBatch, OutputsPerBatch / model.OutputsPerToken) / length);
            int[] batch = order[done..Math.Min(order.Length, done + most)];
            Score(model, [.. batch.Select(i => requests[i])], length, threads, cancellation).CopyTo(scores, batch);
            done += batch.Length;
        }

        progress(order.Length);
        return scores;
    }

    private static RequestScore[] Score(
        LanguageModel model, TaskRequest[] requests, int length, int threads, CancellationToken cancellation)
    {
        int[] ids = new int[requests.Length * length];
        List<int> scored = [];
        int[] following = new int[ids.Length];
        for (int row = 0; row < requests.Length; row++)
        {
            int[] request = requests[row].Ids;
            request[..^1].CopyTo(ids, row * length);
            request[1..].CopyTo(following, row * length);
            int end = (row * length) + request.Length - 1;
            scored.AddRange(Enumerable.Range(end - requests[row].Scored, requests[row].Scored));
        }

        var results = new RequestScore[requests.Length];
        Array.Fill(results, new RequestScore(0, true));
        foreach (LogitRows rows in model.Run(new TokenBatch(ids, requests.Length, length), [.. scored], cancellation))
        {
            RequestScore[] tokens = rows.Measure(threads, (i, buffers) =>
            {
                ReadOnlySpan<float> row = rows.Row(i, buffers.First);
                int next = following[rows.Tokens[i]];
                return new RequestScore(-TokenLoss.Of(row, next, buffers.Scratch), TensorPrimitives.IndexOfMax(row) == next);
            });
            for (int i = 0; i < tokens.Length; i++)
            {
                results[rows.Tokens[i] / length] += tokens[i];
            }
        }

        return results;
    }

    private static void CopyTo(this RequestScore[] results, RequestScore[] scores, int[] places)
    {
        for (int i = 0; i < places.Length; i++)
        {
            scores[places[i]] = results[i];
        }
    }
}
