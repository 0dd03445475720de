using System.Buffers;
using Microsoft.ML.Tokenizers;

namespace Zqfp.Tokenizers;

/// <summary>
/// The tokenizer that a model was trained with, read from its <c>tokenizer.json</c> (Hugging Face) or SentencePiece <c>.model</c>.
/// </summary>
/// <remarks>
/// Ids are those of the reference implementations, or the file is refused with a code: there is no approximate mode. As with
/// SentencePiece and <c>add_special_tokens=False</c>, no special tokens are put around a text unless asked for; those written in it, such
/// as <c>&lt;|im_end|&gt;</c>, are recognized whatever the <c>considerPreTokenization</c> flag says. An unpaired surrogate is read as
/// U+FFFD. Offsets refer to the normalized text where there is one, else to the text; a character that is spelled by several tokens is
/// covered by each of them. Members with a <c>maxTokenCount</c> never cut such a character. Instances are safe to use from several threads.
/// </remarks>
public sealed class PretrainedTokenizer : Tokenizer
{
    private readonly SubwordEngine _engine;

    internal PretrainedTokenizer(SubwordEngineParts parts)
    {
        _engine = new SubwordEngine(parts);
    }

    /// <summary>Rewrites a text before it is cut into words; null where the file asks for none.</summary>
    public override Normalizer? Normalizer => _engine.Parts.Normalizer;

    /// <summary>Cuts a text into words that no token crosses; null where the file asks for none.</summary>
    public override PreTokenizer? PreTokenizer => _engine.Parts.Splitter;

    /// <summary>Ids by token as the file spells it, added tokens included.</summary>
    public IReadOnlyDictionary<string, int> Vocabulary => _engine.Parts.Ids;

    /// <summary>The largest id plus one: what a model's vocabulary must at least be.</summary>
    public int VocabularySize => _engine.Parts.Spellings.Length;

    /// <summary>The id that begins a sequence (<c>&lt;s&gt;</c>, <c>&lt;|begin_of_text|&gt;</c>), where the tokenizer names one.</summary>
    public int? BeginningOfSentenceId => _engine.Parts.Special.BeginningOfSentenceId;

    /// <summary>The id that ends a document (<c>&lt;/s&gt;</c>, <c>&lt;|endoftext|&gt;</c>), where the tokenizer names one.</summary>
    public int? EndOfSentenceId => _engine.Parts.Special.EndOfSentenceId;

    /// <summary>What begins every sequence, as the file or its configuration says; null for nothing.</summary>
    internal int? SequenceBeginningId => _engine.Parts.Special.SequenceBeginningId;

    /// <summary>Loads a tokenizer from a file or folder.</summary>
    /// <param name="fileOrFolder">
    /// A <c>tokenizer.json</c> or a SentencePiece <c>.model</c>, which the content decides, or a folder with one. A
    /// <c>tokenizer_config.json</c> beside it names the tokens that begin and end a sequence.
    /// </param>
    /// <exception cref="ZqfpException">The file cannot be read, is neither format, is damaged, or asks for something that is not
    /// supported (ZQFP0101 to ZQFP0108, ZQFP0116).</exception>
    public static PretrainedTokenizer Load(string fileOrFolder)
    {
        ArgumentException.ThrowIfNullOrEmpty(fileOrFolder);
        return Load(TokenizerFile.Read(fileOrFolder));
    }

    /// <summary>Loads a tokenizer from the content of such a file, up to the stream's end.</summary>
    /// <param name="stream">The content; it stays open.</param>
    /// <exception cref="ZqfpException">As with <see cref="Load(string)"/>.</exception>
    public static PretrainedTokenizer Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return Load(TokenizerFile.Read(stream));
    }

    /// <summary>Encodes a text with or without the special tokens that the file's post-processor puts around it.</summary>
    /// <param name="text">The text.</param>
    /// <param name="addSpecialTokens">Whether they are added, such as <c>[CLS]</c> and <c>[SEP]</c> or <c>&lt;s&gt;</c>.</param>
    /// <param name="considerPreTokenization">Whether the text is cut into words.</param>
    /// <param name="considerNormalization">Whether the text is normalized.</param>
    public IReadOnlyList<int> EncodeToIds(
        string text, bool addSpecialTokens, bool considerPreTokenization = true, bool considerNormalization = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        SpecialTokens special = _engine.Parts.Special;
        var ids = new List<int>(text.Length / 4 + 4);
        ids.AddRange(addSpecialTokens ? special.Before : []);
        _engine.Encode(text, new EncodingStages(considerNormalization, considerPreTokenization), ids);
        ids.AddRange(addSpecialTokens ? special.After : []);
        return ids;
    }

    /// <summary>The text of the ids. Bytes that do not form UTF-8 come back as U+FFFD.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative or not below <see cref="VocabularySize"/>.</exception>
    public override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return _engine.Parts.Decoder.Decode(ids);
    }

    /// <summary>Writes the text of the ids into a span.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="destination">Receives the text.</param>
    /// <param name="idsConsumed">How many ids are written; where not all fit, up to the last that ends no character half.</param>
    /// <param name="charsWritten">How many characters are written.</param>
    /// <returns><see cref="OperationStatus.InvalidData"/> where an id is outside the vocabulary.</returns>
    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return _engine.Parts.Decoder.Decode(ids, destination, out idsConsumed, out charsWritten);
    }

    /// <summary>The token of an id as the file spells it; null where the vocabulary has a hole or ends before it.</summary>
    internal string? TokenOf(int id) => (uint)id < (uint)VocabularySize ? _engine.Parts.Spellings[id] : null;

    /// <summary>The ids of a text, unless the caller no longer wants them.</summary>
    internal List<int> EncodeToIds(string text, CancellationToken cancellation)
    {
        var ids = new List<int>(text.Length / 4 + 4);
        _engine.Encode(text, EncodingStages.All, ids, cancellation);
        return ids;
    }

    /// <inheritdoc/>
    protected override EncodeResults<int> EncodeToIds(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        text ??= textSpan.ToString();
        if (settings.MaxTokenCount < int.MaxValue)
        {
            OffsetTokens tokens = EncodeWithOffsets(text, settings);
            int count = tokens.FirstWhole(RequirePositive(settings));
            return new EncodeResults<int>
            {
                Tokens = [.. tokens.Tokens.Take(count).Select(token => token.Id)],
                NormalizedText = tokens.NormalizedText,
                CharsConsumed = tokens.EndOfFirst(count),
            };
        }

        var ids = new List<int>(text.Length / 4 + 4);
        string? normalized = _engine.Encode(text, StagesOf(settings), ids);
        return new EncodeResults<int> { Tokens = ids, NormalizedText = normalized, CharsConsumed = (normalized ?? text).Length };
    }

    /// <inheritdoc/>
    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        OffsetTokens tokens = EncodeWithOffsets(text ?? textSpan.ToString(), settings);
        int count = tokens.FirstWhole(RequirePositive(settings));
        var encoded = new EncodedToken[count];
        for (int i = 0; i < count; i++)
        {
            (int id, int start, int end) = tokens.Tokens[i];
            encoded[i] = new EncodedToken(id, TokenOf(id) ?? string.Empty, start..end);
        }

        return new EncodeResults<EncodedToken>
        {
            Tokens = encoded,
            NormalizedText = tokens.NormalizedText,
            CharsConsumed = tokens.EndOfFirst(count),
        };
    }

    /// <inheritdoc/>
    protected override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    /// <inheritdoc/>
    protected override int GetIndexByTokenCount(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings, bool fromEnd, out string? normalizedText, out int tokenCount)
    {
        OffsetTokens tokens = EncodeWithOffsets(text ?? textSpan.ToString(), settings);
        int most = RequirePositive(settings);
        normalizedText = tokens.NormalizedText;
        tokenCount = fromEnd ? tokens.LastWhole(most) : tokens.FirstWhole(most);
        return fromEnd ? tokens.StartOfLast(tokenCount) : tokens.EndOfFirst(tokenCount);
    }

    private static PretrainedTokenizer Load(TokenizerFile file) =>
        new(file.IsJson ? TokenizerJsonReader.Read(file) : SentencePieceReader.Read(file));

    private static EncodingStages StagesOf(EncodeSettings settings) => new(
        settings.ConsiderNormalization, settings.ConsiderPreTokenization);

    private static int RequirePositive(EncodeSettings settings)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(settings.MaxTokenCount);
        return settings.MaxTokenCount;
    }

    private OffsetTokens EncodeWithOffsets(string text, EncodeSettings settings)
    {
        var tokens = new List<WordToken>(text.Length / 4 + 4);
        string? normalized = _engine.Encode(text, StagesOf(settings), tokens);
        return new OffsetTokens(tokens, normalized, (normalized ?? text).Length);
    }
}
