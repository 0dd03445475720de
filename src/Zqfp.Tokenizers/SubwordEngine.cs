using System.Collections.Concurrent;

namespace Zqfp.Tokenizers;

/// <summary>What a tokenizer file says, ready to run.</summary>
internal sealed record SubwordEngineParts
{
    /// <summary>Tokens recognized before anything else touches the text.</summary>
    public required AddedTokens RawTokens { get; init; }

    /// <summary>Tokens recognized in the normalized text.</summary>
    public required AddedTokens NormalizedTokens { get; init; }

    public TextNormalizer? Normalizer { get; init; }

    public WordSplitter? Splitter { get; init; }

    /// <summary>Cuts what the model is given into smaller words, where that changes no id; null where it might.</summary>
    public WordScanner? WordCutter { get; init; }

    public required ISubwordModel Model { get; init; }

    public required TokenDecoder Decoder { get; init; }

    /// <summary>Spelling by id; null where the vocabulary has a hole.</summary>
    public required string?[] Spellings { get; init; }

    public required IReadOnlyDictionary<string, int> Ids { get; init; }

    public SpecialTokens Special { get; init; } = new();
}

/// <summary>The stages of encoding that a caller may leave out.</summary>
internal readonly record struct EncodingStages(bool Normalization, bool PreTokenization)
{
    public static EncodingStages All { get; } = new(true, true);
}

/// <summary>
/// Added tokens, then normalization, then words, then subwords. Words repeat, so each call borrows a <see cref="WordEncoder"/> with a
/// bounded cache; the encoders are pooled, which keeps the engine free of locks.
/// </summary>
internal sealed class SubwordEngine(SubwordEngineParts parts)
{
    private readonly ConcurrentBag<WordEncoder> _idle = [];

    public SubwordEngineParts Parts => parts;

    /// <summary>Appends the ids of a text; returns the normalized text, null where there is no normalization.</summary>
    public string? Encode(string text, EncodingStages stages, List<int> ids, CancellationToken cancellation = default)
    {
        WordEncoder encoder = _idle.TryTake(out WordEncoder? idle) ? idle : new WordEncoder(parts.Model);
        encoder.Target = ids;
        encoder.Cancellation = cancellation;
        string? normalized = Encode(text, stages, encoder);
        encoder.Target = null;
        _idle.Add(encoder);
        return normalized;
    }

    /// <summary>
    /// Appends the tokens of a text with their offsets in the normalized text, which it returns; null stands for the text itself.
    /// </summary>
    public string? Encode(string text, EncodingStages stages, List<WordToken> tokens) =>
        Encode(text, stages, new OffsetEncoder(parts.Model.CreateWorker(), tokens));

    private string? Encode(string text, EncodingStages stages, TokenSink sink)
    {
        var section = new SectionEncoder(parts, stages, sink);
        int position = 0;
        while (parts.RawTokens.TryFind(text, position, out AddedTokenMatch match))
        {
            section.Encode(text, position, match.Start);
            section.Copy(text, match);
            position = match.End;
        }

        section.Encode(text, position, text.Length);
        return section.NormalizedText;
    }
}
