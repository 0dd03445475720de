namespace Zqfp.Evaluation;

/// <summary>Tokens of which the last ones are scored.</summary>
/// <param name="Ids">The context and what follows it.</param>
/// <param name="Scored">How many of the last ids are scored; less than there are.</param>
internal sealed record TaskRequest(int[] Ids, int Scored)
{
    /// <summary>What a question asks, tokenized by lm-evaluation-harness's rules.</summary>
    /// <param name="text">The context and the continuation.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="window">Tokens that the model may read; of a longer request the beginning is left out.</param>
    /// <param name="beginningId">The token that stands before the context; null for none.</param>
    /// <exception cref="FormatException">The continuation has no token of its own, or more than the window.</exception>
    public static TaskRequest Of(TaskText text, TextTokenizer tokenizer, int window, int? beginningId)
    {
        // Spaces at the context's end belong to the tokens of the continuation.
        string context = text.Context.TrimEnd();
        string continuation = text.Context[context.Length..] + text.Continuation;
        int[] beginning = beginningId is { } put ? [put] : context.Length == 0 ? [Prefix(tokenizer)] : [];
        int[] given = context.Length == 0 ? beginning : [.. beginning, .. tokenizer.Encode(context)];
        int[] whole = [.. beginning, .. tokenizer.Encode(context + continuation)];
        int scored = whole.Length - given.Length;
        return scored > 0 && scored <= window
            ? new TaskRequest(whole[Math.Max(0, whole.Length - window - 1)..], scored)
            : throw new FormatException(scored > 0
                ? $"its continuation has {scored} tokens, more than a window of {window}; use a longer --window"
                : "its continuation has no token that its context does not end in");
    }

    /// <summary>A whole text, every token of which is scored once, in windows with as much before each token as fits.</summary>
    /// <exception cref="FormatException">The tokenizer has no token to begin with.</exception>
    public static IEnumerable<TaskRequest> Rolling(string text, TextTokenizer tokenizer, int window)
    {
        int[] ids = [Prefix(tokenizer), .. tokenizer.Encode(text)];
        for (int done = 1; done < ids.Length;)
        {
            int scored = Math.Min(window, ids.Length - done);
            int end = done + scored;

            // The last window is filled up with tokens that were scored already.
            yield return new TaskRequest(ids[Math.Max(0, end - window - 1)..end], scored);
            done = end;
        }
    }

    /// <summary>The token that begins a sequence, or the one that ends one where the tokenizer names no other.</summary>
    /// <exception cref="FormatException">It names neither.</exception>
    public static int Prefix(TextTokenizer tokenizer) => tokenizer.BeginningId ?? tokenizer.EndId
        ?? throw new FormatException("it needs a token that begins a sequence, and the tokenizer names none");
}
