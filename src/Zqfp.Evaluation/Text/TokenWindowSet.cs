using System.Security.Cryptography;
using Zqfp.Tokenizers;

namespace Zqfp.Evaluation;

/// <summary>A text as token windows that a model can read.</summary>
/// <param name="Windows">Windows of equal length, in the text's order.</param>
/// <param name="TotalTokens">Tokens of the whole text.</param>
/// <param name="BeginningId">The token that every window begins with and the text does not have; null for none.</param>
internal sealed record TokenWindowSet(IReadOnlyList<int[]> Windows, long TotalTokens, int? BeginningId = null)
{
    /// <summary>No text.</summary>
    public static TokenWindowSet Empty { get; } = new([], 0);

    /// <summary>Tokenizes a text once and cuts it into windows that do not overlap; a shorter tail is dropped.</summary>
    /// <param name="textPath">The text, or token ids.</param>
    /// <param name="tokenizerPath">The tokenizer; null where the text is token ids.</param>
    /// <param name="window">Tokens in a window.</param>
    /// <param name="count">Windows at most, from the beginning; 0 for all.</param>
    /// <param name="model">The model that is to read them.</param>
    /// <param name="reading">How the text is read; null for the usual way.</param>
    /// <param name="seed">Draws the windows from all of the text by this seed; null takes the first ones.</param>
    /// <param name="cancellation">Ends reading and tokenizing.</param>
    /// <exception cref="ZqfpException">
    /// ZQFP01nn: the text or the tokenizer cannot be used, does not fit the model, or fills no window.
    /// </exception>
    public static TokenWindowSet Load(
        string textPath,
        string? tokenizerPath,
        int window,
        int count,
        ModelFacts model,
        TextReading? reading = null,
        int? seed = null,
        CancellationToken cancellation = default)
    {
        model.RequireWindow(window);
        PretrainedTokenizer? tokenizer = tokenizerPath is null ? null : PretrainedTokenizer.Load(tokenizerPath);
        reading ??= new TextReading();
        var source = new TextSourceOptions
        {
            Path = textPath,
            ModelVocabularySize = model.Vocabulary,
            JsonField = reading.JsonField,
            DocumentMarker = reading.DocumentMarker,
            DocumentSeparator = reading.DocumentSeparator,
            Beginning = reading.Beginning,
        };
        TokenStream stream = TextSource.Load(source, tokenizer, cancellation);
        int[][] windows = seed is { } drawn
            ? TokenWindows.Sample(stream, window, count > 0 ? count : int.MaxValue, drawn)
            : TokenWindows.Cut(stream, window, count > 0 ? count : null);
        return new TokenWindowSet(windows, stream.Ids.Length, stream.WindowBeginningId);
    }

    /// <summary>A hash of all tokens, equal on every machine.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendWindows(Windows);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
