using System.Collections.Concurrent;

namespace Zqfp.Tokenizers;

/// <summary>What a tokenizer file says, ready to run.</summary>
internal sealed record SubwordTokenizerParts
{
    /// <summary>Tokens recognized before anything else touches the text.</summary>
    public required AddedTokens RawTokens { get; init; }

    /// <summary>Tokens recognized in the normalized text.</summary>
    public required AddedTokens NormalizedTokens { get; init; }

    public TextNormalizer? Normalizer { get; init; }

    public PreTokenizer? PreTokenizer { get; init; }

    public required ISubwordModel Model { get; init; }

    public required TokenDecoder Decoder { get; init; }

    /// <summary>Spelling by id; null where the vocabulary has a hole.</summary>
    public required string?[] Spellings { get; init; }

    public required IReadOnlyDictionary<string, int> Ids { get; init; }

    public int? BeginningOfSequenceId { get; init; }

    public int? EndOfSequenceId { get; init; }
}

/// <summary>
/// Added tokens, then normalization, then words, then subwords. Words repeat, so each caller's turn borrows a
/// <see cref="WordEncoder"/> with a bounded cache; the encoders are pooled, which keeps the tokenizer free of locks.
/// </summary>
internal sealed class SubwordTokenizer(SubwordTokenizerParts parts) : Tokenizer
{
    private readonly ConcurrentBag<WordEncoder> _idle = [];

    public override int VocabularySize => parts.Spellings.Length;

    public override int? BeginningOfSequenceId => parts.BeginningOfSequenceId;

    public override int? EndOfSequenceId => parts.EndOfSequenceId;

    public override bool TryGetId(string token, out int id) => parts.Ids.TryGetValue(token, out id);

    public override string? TokenOf(int id) => (uint)id < (uint)parts.Spellings.Length ? parts.Spellings[id] : null;

    public override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return parts.Decoder.Decode(ids);
    }

    protected override void Encode(string text, List<int> ids)
    {
        WordEncoder encoder = _idle.TryTake(out WordEncoder? idle) ? idle : new WordEncoder(parts.Model);
        encoder.Target = ids;
        int position = 0;
        while (parts.RawTokens.TryFind(text, position, out AddedTokenMatch match))
        {
            EncodeSection(new Piece(text, position, match.Start - position), encoder);
            ids.Add(match.Id);
            position = match.End;
        }

        EncodeSection(new Piece(text, position, text.Length - position), encoder);
        encoder.Target = null;
        _idle.Add(encoder);
    }

    /// <summary>A stretch between two raw added tokens; only the one at the text's very beginning counts as first.</summary>
    private void EncodeSection(Piece section, WordEncoder encoder)
    {
        if (section.Length == 0)
        {
            return;
        }

        bool first = section.Start == 0;
        if (parts.Normalizer is { } normalizer)
        {
            string normalized = normalizer.Normalize(section.ToString());
            section = new Piece(normalized, 0, normalized.Length);
        }

        int end = section.Start + section.Length;
        int position = section.Start;
        while (parts.NormalizedTokens.TryFind(section.Text, position, end, out AddedTokenMatch match))
        {
            EncodeWords(section.Slice(position, match.Start), first && position == section.Start, encoder);
            encoder.Target!.Add(match.Id);
            position = match.End;
        }

        EncodeWords(section.Slice(position, end), first && position == section.Start, encoder);
    }

    private void EncodeWords(Piece piece, bool first, WordEncoder encoder)
    {
        if (piece.Length == 0)
        {
            return;
        }

        if (parts.PreTokenizer is { } preTokenizer)
        {
            preTokenizer.Split(piece with { First = first }, encoder);
        }
        else
        {
            encoder.Accept(piece);
        }
    }
}
