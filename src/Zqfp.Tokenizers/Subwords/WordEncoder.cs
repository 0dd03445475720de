using System.Runtime.InteropServices;

namespace Zqfp.Tokenizers;

/// <summary>
/// The end of the pieces' way: encodes each with the model and remembers short words. The cache is bounded: when full it is
/// emptied, which costs little since the frequent words come back at once.
/// </summary>
internal sealed class WordEncoder(ISubwordModel model) : IPieceSink
{
    private const int LongestCachedWord = 32;
    private const int MostCachedWords = 1 << 16;

    private readonly SubwordWorker _worker = model.CreateWorker();
    private readonly Dictionary<string, int[]> _words = new(StringComparer.Ordinal);

    /// <summary>Where the ids go; set by the one who borrows the encoder.</summary>
    public List<int>? Target { get; set; }

    public void Accept(Piece piece)
    {
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
