using Microsoft.ML.Tokenizers;
using Zqfp.Tokenizers;

namespace Zqfp.Evaluation;

/// <summary>
/// What a text source needs of any <see cref="Tokenizer"/>: ids without the special tokens that some put around a text, and the ids of
/// these, which the source places itself.
/// </summary>
internal sealed class TextTokenizer(Tokenizer tokenizer, CancellationToken cancellation)
{
    /// <summary>The id that begins a sequence; null where the tokenizer names none.</summary>
    public int? BeginningId { get; } = tokenizer switch
    {
        PretrainedTokenizer pretrained => pretrained.BeginningOfSentenceId,
        SentencePieceTokenizer pieces => pieces.BeginningOfSentenceId,
        BertTokenizer bert => bert.ClassificationTokenId,
        BpeTokenizer { BeginningOfSentenceToken: { } token } bpe => IdOf(bpe, token),
        _ => null,
    };

    /// <summary>The id that the tokenizer puts before every sequence of its own accord; null for none.</summary>
    public int? SequenceBeginningId { get; } = tokenizer switch
    {
        PretrainedTokenizer pretrained => pretrained.SequenceBeginningId,
        SentencePieceTokenizer { AddBeginningOfSentence: true } pieces => pieces.BeginningOfSentenceId,
        BpeTokenizer { BeginningOfSentenceToken: { } token } bpe => IdOf(bpe, token),
        _ => null,
    };

    /// <summary>The id that ends a document; null where the tokenizer names none.</summary>
    public int? EndId { get; } = tokenizer switch
    {
        PretrainedTokenizer pretrained => pretrained.EndOfSentenceId,
        SentencePieceTokenizer pieces => pieces.EndOfSentenceId,
        BertTokenizer bert => bert.SeparatorTokenId,
        TiktokenTokenizer { SpecialTokens: { } special } when special.TryGetValue("<|endoftext|>", out int id) => id,
        _ => null,
    };

    /// <summary>The largest id plus one; null where the tokenizer does not tell.</summary>
    public int? VocabularySize => (tokenizer as PretrainedTokenizer)?.VocabularySize;

    /// <summary>The ids of a text alone.</summary>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public IReadOnlyList<int> Encode(string text)
    {
        cancellation.ThrowIfCancellationRequested();
        return tokenizer is PretrainedTokenizer pretrained ? pretrained.EncodeToIds(text, cancellation) : EncodeWithoutSpecialTokens(text);
    }

    /// <summary>The token of an id as the vocabulary spells it; null where it is not told.</summary>
    public string? TokenOf(int id) => (tokenizer as PretrainedTokenizer)?.TokenOf(id);

    private IReadOnlyList<int> EncodeWithoutSpecialTokens(string text) => tokenizer switch
    {
        SentencePieceTokenizer pieces => pieces.EncodeToIds(text, addBeginningOfSentence: false, addEndOfSentence: false),
        BertTokenizer bert => bert.EncodeToIds(text, addSpecialTokens: false),
        BpeTokenizer { BeginningOfSentenceToken: not null } bpe =>
            [.. bpe.EncodeToIds(text).SkipWhile((id, index) => index == 0 && id == BeginningId)],
        _ => tokenizer.EncodeToIds(text),
    };

    private static int? IdOf(BpeTokenizer bpe, string token) => bpe.Vocabulary.TryGetValue(token, out int id) ? id : null;
}
