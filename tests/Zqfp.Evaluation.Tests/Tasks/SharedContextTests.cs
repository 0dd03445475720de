namespace Zqfp.Evaluation.Tests;

/// <summary>Which requests are read behind a common beginning.</summary>
public sealed class SharedContextTests
{
    private static readonly int[] Context = [.. Enumerable.Range(100, 30)];

    [Fact]
    public void Choices_of_a_question_share_what_stands_before_the_first_scored_token()
    {
        SharedContext context = Assert.Single(SharedContext.Find([Request(Context, 1, 2), Request(Context, 3), Request(Context, 4, 5, 6)]));
        Assert.Equal([0, 1, 2], context.Requests);

        // The last token of the context predicts the first of the continuation.
        Assert.Equal(Context.Length - 1, context.Length);
    }

    [Fact]
    public void Questions_are_apart_and_a_token_that_the_continuation_changed_is_not_shared()
    {
        int[] changed = [.. Context[..^1], 7];
        int[] other = [.. Enumerable.Range(500, 40)];
        IReadOnlyList<SharedContext> found = SharedContext.Find(
            [Request(Context, 1), Request(changed, 2), Request(other, 1), Request(other, 2)]);
        Assert.Equal([[0, 1], [2, 3]], found.Select(context => context.Requests));
        Assert.Equal([Context.Length - 1, other.Length - 1], found.Select(context => context.Length));
    }

    [Fact]
    public void Short_contexts_and_those_of_one_request_are_not_worth_a_run() =>
        Assert.Empty(SharedContext.Find([Request(Context[..10], 1), Request(Context[..10], 2), Request(Context, 1)]));

    [Fact]
    public void Long_continuations_of_a_short_context_are_not_worth_a_run()
    {
        int[] long1 = [.. Enumerable.Range(0, 90)];
        int[] long2 = [.. Enumerable.Range(200, 90)];
        Assert.Empty(SharedContext.Find([Request(Context, long1), Request(Context, long2)]));
    }

    private static TaskRequest Request(int[] context, params int[] continuation) =>
        new([.. context, .. continuation], continuation.Length);
}
