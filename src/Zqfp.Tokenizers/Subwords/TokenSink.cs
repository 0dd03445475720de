using System.Runtime.InteropServices;

namespace Zqfp.Tokenizers;

/// <summary>The end of a text's way: words become tokens with the model, and added tokens are taken over.</summary>
internal abstract class TokenSink : IPieceSink
{
    public CancellationToken Cancellation { get; set; }

    /// <summary>Encodes a word.</summary>
    public abstract void Accept(Piece piece);

    /// <summary>Takes an added token over.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="start">Where it begins in the normalized text.</param>
    /// <param name="end">Where it ends there.</param>
    public abstract void Accept(int id, int start, int end);
}

/// <summary>
/// Makes ids alone and remembers short words. The cache is bounded: when full it is emptied, which costs little since the frequent
/// words come back at once.
/// </summary>
internal sealed class WordEncoder(ISubwordModel model) : TokenSink
{
    private const int LongestCachedWord = 32;
    private const int MostCachedWords = 1 << 16;

    // Between two looks at the cancellation, a few milliseconds.
    private const int WordsUnasked = 1 << 14;

    private readonly SubwordWorker _worker = model.CreateWorker();
    private readonly Dictionary<string, int[]> _words = new(StringComparer.Ordinal);

    private int _unasked;

    /// <summary>Where the ids go; set by the one who borrows the encoder.</summary>
    public List<int>? Target { get; set; }

    public override void Accept(int id, int start, int end) => Target!.Add(id);

    public override void Accept(Piece piece)
    {
        if (++_unasked == WordsUnasked)
        {
            _unasked = 0;
            Cancellation.ThrowIfCancellationRequested();
        }

        ReadOnlySpan<char> word = piece.Span;
        List<int> ids = Target!;
        if (word.Length > LongestCachedWord)
        {
            _worker.Encode(word, ids);
            return;
        }

        if (_words.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out int[]? known))
        {
            ids.AddRange((ReadOnlySpan<int>)known);
            return;
        }

        int before = ids.Count;
        _worker.Encode(word, ids);
        if (_words.Count == MostCachedWords)
        {
            _words.Clear();
        }

        _words.Add(word.ToString(), CollectionsMarshal.AsSpan(ids)[before..].ToArray());
    }
}

/// <summary>Makes ids with their offsets in the normalized text.</summary>
internal sealed class OffsetEncoder(SubwordWorker worker, List<WordToken> tokens) : TokenSink
{
    public override void Accept(int id, int start, int end) => tokens.Add(new WordToken(id, start, end));

    public override void Accept(Piece piece)
    {
        int first = tokens.Count;
        worker.Encode(piece.Span, tokens);
        foreach (ref WordToken token in CollectionsMarshal.AsSpan(tokens)[first..])
        {
            token = token with { Start = piece.OffsetOf(piece.Start + token.Start), End = piece.OffsetOf(piece.Start + token.End) };
        }
    }
}
