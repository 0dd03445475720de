using System.Globalization;

namespace Zqfp.Evaluation;

/// <summary>
/// What one of a decoder's inputs is fed: ids, a mask, positions behind the tokens before the batch, or a cache in which nothing is valid.
/// </summary>
/// <param name="Shape">The shape of the value.</param>
/// <param name="Value">Each element by its row-major index; null: all are 0.</param>
internal sealed record DecoderInput(long[] Shape, Func<long, long>? Value)
{
    /// <summary>
    /// Whether 1 says that a token is seen and 0 that it is not, which numbers that are added say by 0 and the lowest one.
    /// </summary>
    public bool IsVisibility { get; private init; }

    /// <summary>What the input of this name is fed for <paramref name="batch"/>.</summary>
    /// <param name="name">The input's name.</param>
    /// <param name="dims">Its dimensions as declared; null where one is open.</param>
    /// <param name="model">The model.</param>
    /// <param name="batch">The windows.</param>
    /// <exception cref="ZqfpException">ZQFP1005: the input is none that a decoder has.</exception>
    public static DecoderInput Of(string name, IReadOnlyList<int?> dims, ModelFacts model, TokenBatch batch)
    {
        long rows = Math.Max(model.FixedBatch ?? 0, batch.Windows);
        long length = batch.Length;
        long past = batch.Past;
        long total = past > 0 ? past + length : model.TotalLength(batch.Length);
        switch (name)
        {
            case var _ when name == model.Ids:
                // Where a run takes more windows than there are, the last is there again.
                return new DecoderInput(dims.Count == 1 ? [length] : [rows, length],
                    i => batch.Ids[(Math.Min(i / length, batch.Windows - 1) * length) + (i % length)]);
            case var _ when IsMask(name, dims.Count):
                long masked = Known(dims, dims.Count - 1) ?? total;
                return new DecoderInput(Mask(dims, rows, length, masked), i => i % masked >= masked - length - past
                    && (dims.Count < 3 || i % masked <= (i / masked % length) + masked - length) ? 1 : 0)
                {
                    IsVisibility = dims.Count > 2 && model.HasAdditiveMask,
                };
            case "position_ids" or "cache_position" or "positions" or "pos_ids" or "input_pos":
                return new DecoderInput(Positions(dims.Count, Known(dims, 0), rows, length), i => past + (i % length));
            case "token_type_ids":
                return new DecoderInput([rows, length], null);
            case "use_cache_branch" when past > 0:
                return new DecoderInput(Single(dims), _ => 1);
            case "past_sequence_length" or "past_seq_len":
                return new DecoderInput(Single(dims), _ => past);
            case var _ when IsFlag(name):
                return new DecoderInput(Single(dims), null);
            case "total_sequence_length" or "total_seq_len":
                return new DecoderInput(Single(dims), _ => total);
            case "seqlens_k":
                return new DecoderInput([rows], _ => past + length - 1);
            case var _ when IsCache(name):
                return new DecoderInput(Cache(name, dims, model, rows), null);
            default:
                throw new ZqfpException(
                    "ZQFP1005",
                    $"Input '{name}' is none of input_ids, attention_mask, position_ids, cache_position, past_* and the like: what to feed "
                    + "it is unknown. Export the model with those inputs alone.",
                    model.Path);
        }
    }

    /// <summary>
    /// Whether an input says which tokens are seen. What is only called a mask does where it has a row for each token: with less, it may be
    /// of the batch or of the tokens.
    /// </summary>
    private static bool IsMask(string name, int rank) => name is "attention_mask" or "attn_mask" or "input_mask"
        || (name is "mask" or "causal_mask" && rank > 2);

    /// <summary>
    /// Whether an input is a cache of keys, values or both, by what exporters name it: <c>past_key_values.0.key</c>, <c>past_0</c>,
    /// <c>key_cache_0</c>, <c>cache.0.k</c>.
    /// </summary>
    public static bool IsCache(string name) =>
        !(IsFlag(name) || name is "cache_position")
        && (name.Contains("past", StringComparison.OrdinalIgnoreCase) || name.Contains("cache", StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// [length], [batch, length], or a row for each token, [batch, tokens, length] or [batch, heads, tokens, length], in which it sees
    /// itself and those before it.
    /// </summary>
    private static long[] Mask(IReadOnlyList<int?> dims, long rows, long length, long masked) => dims.Count switch
    {
        1 => [masked],
        3 => [Known(dims, 0) ?? rows, length, masked],
        4 => [Known(dims, 0) ?? rows, Known(dims, 1) ?? 1, length, masked],
        _ => [rows, masked],
    };

    /// <summary>Inputs of one number that is 0 for whole windows without earlier tokens.</summary>
    private static bool IsFlag(string name) => name is "use_cache_branch" or "num_logits_to_keep" or "logits_to_keep"
        or "past_sequence_length" or "past_seq_len";

    /// <summary>[length], [batch, length], or [3, batch, length] where positions have parts.</summary>
    private static long[] Positions(int rank, long? parts, long rows, long length) => rank switch
    {
        1 => [length],
        3 => [parts ?? 3, rows, length],
        _ => [rows, length],
    };

    private static long[] Single(IReadOnlyList<int?> dims) => [.. dims.Select(dim => dim is > 0 ? dim.Value : 1)];

    /// <summary>
    /// A cache [batch, heads, past, head size], [2, batch, heads, past, head size] of keys and values, or [batch, past, width], of length 0
    /// unless the model says another.
    /// </summary>
    private static long[] Cache(string name, IReadOnlyList<int?> dims, ModelFacts model, long rows)
    {
        long[]? shape = dims.Count switch
        {
            5 when Known(dims, 2) is { } heads && (Known(dims, 4) ?? model.HeadSize) is { } size => [Known(dims, 0) ?? 2,
                Known(dims, 1) ?? rows, heads, Known(dims, 3) ?? 0, size],
            4 when Known(dims, 1) is { } heads && (Known(dims, 3) ?? model.HeadSize) is { } size => [Known(dims, 0) ?? rows,
                heads, Known(dims, 2) ?? 0, size],
            3 when Known(dims, 2) is { } width => [Known(dims, 0) ?? rows, Known(dims, 1) ?? 0, width],
            _ => null,
        };
        string declared = string.Join(", ", dims.Select(dim => dim?.ToString(CultureInfo.InvariantCulture) ?? "?"));
        return shape ?? throw new ZqfpException(
            "ZQFP1005",
            $"Cache input '{name}' has the shape [{declared}]; expected [batch, heads, past, head size] with the number of heads known, "
            + "and the head size known there or from the attention nodes.",
            model.Path);
    }

    private static long? Known(IReadOnlyList<int?> dims, int index) => index >= 0 && index < dims.Count && dims[index] is >= 0 and var size
        ? size
        : null;
}
