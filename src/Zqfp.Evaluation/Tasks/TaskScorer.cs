using System.Numerics.Tensors;

namespace Zqfp.Evaluation;

/// <summary>Has a model score requests.</summary>
/// <param name="model">The model.</param>
/// <param name="facts">The model's facts.</param>
/// <param name="requests">The requests.</param>
/// <param name="threads">Threads that measure at most; 0 for one a processor.</param>
internal sealed class TaskScorer(LanguageModel model, ModelFacts facts, IReadOnlyList<TaskRequest> requests, int threads)
{
    private const int TokensPerBatch = 2048;
    private const int OutputsPerBatch = 1 << 27;

    /// <summary>
    /// What a token's log-likelihood may differ by, in nats, when it is read behind a cache: far above rounding in float16, far below what
    /// a cache that is read wrongly makes.
    /// </summary>
    private const double CacheTolerance = 0.1;

    private readonly RequestScore[] _scores = new RequestScore[requests.Count];
    private int _done;

    /// <summary>
    /// Scores the requests, in batches of similar length, the longest first. Where the model has a cache, tokens that several requests
    /// begin with are read once.
    /// </summary>
    /// <returns>A score for each request, in their order.</returns>
    public RequestScore[] Score(Action<int> progress, CancellationToken cancellation)
    {
        IReadOnlyList<SharedContext> shared = facts.Caches.Count > 0 && facts is { FixedWindow: null, FixedBatch: null }
            ? [.. SharedContext.Find(requests).OrderByDescending(context => context.Length)]
            : [];
        HashSet<int> scored = [];
        for (int first = 0; first < shared.Count;)
        {
            SharedContext[] batch = Batch(shared, first);
            ScoreBehind(batch, progress, cancellation);
            if (first == 0 && !AgreesWithoutCache(batch[0], cancellation))
            {
                break;
            }

            scored.UnionWith(batch.SelectMany(context => context.Requests));
            first += batch.Length;
        }

        BehindCache = scored.Count;
        _done = scored.Count;
        int[] order = [.. Enumerable.Range(0, requests.Count).Where(i => !scored.Contains(i))
            .OrderByDescending(i => requests[i].Ids.Length)];
        for (int first = 0; first < order.Length;)
        {
            int length = facts.FixedWindow ?? (requests[order[first]].Ids.Length - 1);
            int[] batch = order[first..Math.Min(order.Length, first + (facts.FixedBatch ?? Math.Max(1, MostTokens / length)))];
            progress(_done);
            Keep(batch, Score(batch, length, context: null, cancellation));
            _done += batch.Length;
            first += batch.Length;
        }

        progress(_done);
        return _scores;
    }

    /// <summary>How many requests were scored behind a cache.</summary>
    public int BehindCache { get; private set; }

    private int MostTokens => Math.Min(TokensPerBatch, OutputsPerBatch / model.OutputsPerToken);

    /// <summary>As many contexts as fit in a batch, themselves and what follows them; at least one.</summary>
    private SharedContext[] Batch(IReadOnlyList<SharedContext> contexts, int first)
    {
        int count = 1;
        while (first + count < contexts.Count && Fits(contexts.Skip(first).Take(count + 1)))
        {
            count++;
        }

        return [.. contexts.Skip(first).Take(count)];

        bool Fits(IEnumerable<SharedContext> batch)
        {
            int past = batch.Min(context => context.Length);
            int[] behind = [.. batch.SelectMany(context => context.Requests)];
            return batch.Count() * past <= MostTokens && behind.Length * Behind(behind, past) <= MostTokens;
        }
    }

    /// <summary>Tokens of the longest request behind its first <paramref name="past"/>.</summary>
    private int Behind(IReadOnlyList<int> batch, int past) => batch.Max(i => requests[i].Ids.Length) - 1 - past;

    /// <summary>Runs what the requests of a context begin with, as far as the batch's shortest context goes, once; then the rest.</summary>
    private void ScoreBehind(SharedContext[] contexts, Action<int> progress, CancellationToken cancellation)
    {
        int past = contexts.Min(context => context.Length);
        int[] ids = [.. contexts.SelectMany(context => requests[context.Requests[0]].Ids.Take(past))];
        using ContextCache read = model.Remember(new TokenBatch(ids, contexts.Length, past), cancellation);

        // A context with many continuations goes on in several batches.
        (int Request, int Context)[] all = [.. contexts.SelectMany((context, i) => context.Requests.Select(request => (request, i)))];
        int length = Behind([.. all.Select(one => one.Request)], past);
        foreach ((int Request, int Context)[] part in all.Chunk(facts.FixedBatchBehindContext ?? Math.Max(1, MostTokens / length)))
        {
            progress(_done);
            using ContextCache context = read.Continue([.. part.Select(one => one.Context)]);
            int[] batch = [.. part.Select(one => one.Request)];
            Keep(batch, Score(batch, Behind(batch, past), context, cancellation));
            _done += batch.Length;
        }
    }

    /// <summary>Whether the model gives the same score where its cache is not used, so that it goes on as is believed.</summary>
    private bool AgreesWithoutCache(SharedContext context, CancellationToken cancellation)
    {
        int[] one = [context.Requests[0]];
        RequestScore whole = Score(one, requests[one[0]].Ids.Length - 1, context: null, cancellation)[0];
        return Math.Abs(whole.LogLikelihood - _scores[one[0]].LogLikelihood) <= CacheTolerance * requests[one[0]].Scored;
    }

    /// <summary>
    /// Scores requests of one batch. Shorter ones are filled up behind, where a causal model does not look.
    /// </summary>
    /// <param name="batch">The requests.</param>
    /// <param name="length">Tokens of the longest behind the context.</param>
    /// <param name="context">What the model has read of each already.</param>
    /// <param name="cancellation">Stops the run.</param>
    private RequestScore[] Score(int[] batch, int length, ContextCache? context, CancellationToken cancellation)
    {
        int past = context?.Length ?? 0;
        int[] ids = new int[batch.Length * length];
        List<int> scored = [];
        int[] following = new int[ids.Length];
        for (int row = 0; row < batch.Length; row++)
        {
            int[] request = requests[batch[row]].Ids[past..];
            request[..^1].CopyTo(ids, row * length);
            request[1..].CopyTo(following, row * length);
            int end = (row * length) + request.Length - 1;
            int count = requests[batch[row]].Scored;
            scored.AddRange(Enumerable.Range(end - count, count));
        }

        var results = new RequestScore[batch.Length];
        Array.Fill(results, new RequestScore(0, true));
        TokenBatch tokensOfBatch = new(ids, batch.Length, length) { Past = past, Context = context };
        foreach (LogitRows rows in model.Run(tokensOfBatch, [.. scored], cancellation))
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

    private void Keep(int[] batch, RequestScore[] scores)
    {
        for (int i = 0; i < batch.Length; i++)
        {
            _scores[batch[i]] = scores[i];
        }
    }
}
