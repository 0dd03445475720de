namespace Zqfp.Evaluation;

/// <summary>Requests that begin with the same tokens, which a model with a cache reads once: the choices of a question.</summary>
/// <param name="Requests">Their places.</param>
/// <param name="Length">How many tokens are the same, and are read before any is scored.</param>
internal sealed record SharedContext(IReadOnlyList<int> Requests, int Length)
{
    /// <summary>Fewer tokens are not worth a run of their own.</summary>
    private const int Shortest = 16;

    /// <summary>Neighbours that share enough; a request that shares too little stands in none of them.</summary>
    public static IReadOnlyList<SharedContext> Find(IReadOnlyList<TaskRequest> requests)
    {
        List<SharedContext> found = [];
        for (int first = 0; first < requests.Count;)
        {
            int length = Readable(requests[first]);
            int end = first + 1;
            for (; end < requests.Count; end++)
            {
                int common = Math.Min(Readable(requests[end]), requests[first].Ids.AsSpan(0, length).CommonPrefixLength(requests[end].Ids));

                // A question's choices share all of it; one token less may be the last one's, which the continuation has changed.
                if (common < Shortest || common < length - (length / 4))
                {
                    break;
                }

                length = common;
            }

            if (end - first > 1)
            {
                found.Add(new SharedContext([.. Enumerable.Range(first, end - first)], length));
            }

            first = end;
        }

        return [.. found.Where(context => context.Saves(requests))];
    }

    /// <summary>Tokens that a request reads before the first that is scored is predicted.</summary>
    private static int Readable(TaskRequest request) => request.Ids.Length - 1 - request.Scored;

    /// <summary>Whether a quarter of the tokens need not be run.</summary>
    private bool Saves(IReadOnlyList<TaskRequest> requests) =>
        4 * Length * (Requests.Count - 1) >= Requests.Sum(request => requests[request].Ids.Length);
}
