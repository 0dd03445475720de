namespace Zqfp.Tokenizers;

/// <summary>
/// WordPiece (BERT): from the left, the longest token that fits, those within a word spelled with a prefix. A word that cannot be cut so
/// is unknown as a whole, and so is one that is too long.
/// </summary>
/// <param name="ids">Vocabulary by spelling.</param>
internal sealed class WordPieceModel(Dictionary<string, int> ids) : ISubwordModel
{
    public required int UnknownId { get; init; }

    /// <summary>What tokens that do not begin a word are spelled with, such as <c>##</c>.</summary>
    public required string ContinuingPrefix { get; init; }

    /// <summary>Code points of the longest word that is cut.</summary>
    public required int LongestWord { get; init; }

    public SubwordWorker CreateWorker() => new Worker(this, ids.GetAlternateLookup<ReadOnlySpan<char>>());

    private sealed class Worker(WordPieceModel model, Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids) : SubwordWorker
    {
        private readonly List<WordToken> _tokens = [];
        private char[] _spelling = new char[64];

        public override void Encode(ReadOnlySpan<char> word, List<int> target)
        {
            _tokens.Clear();
            Encode(word, _tokens);
            foreach (WordToken token in _tokens)
            {
                target.Add(token.Id);
            }
        }

        public override void Encode(ReadOnlySpan<char> word, List<WordToken> tokens)
        {
            int before = tokens.Count;
            int start = 0;
            bool fits = CountCodePoints(word) <= model.LongestWord;
            while (fits && start < word.Length)
            {
                fits = TryTake(word[start..], start > 0, out int id, out int length);
                tokens.Add(new WordToken(id, start, start + length));
                start += length;
            }

            if (!fits)
            {
                tokens.RemoveRange(before, tokens.Count - before);
                tokens.Add(new WordToken(model.UnknownId, 0, word.Length));
            }
        }

        private static int CountCodePoints(ReadOnlySpan<char> word)
        {
            int count = 0;
            foreach (System.Text.Rune _ in word.EnumerateRunes())
            {
                count++;
            }

            return count;
        }

        /// <summary>The longest token that the rest of a word begins with.</summary>
        private bool TryTake(ReadOnlySpan<char> rest, bool continues, out int id, out int length)
        {
            string prefix = continues ? model.ContinuingPrefix : string.Empty;
            if (_spelling.Length < prefix.Length + rest.Length)
            {
                _spelling = new char[prefix.Length + rest.Length];
            }

            prefix.CopyTo(_spelling);
            rest.CopyTo(_spelling.AsSpan(prefix.Length));
            for (length = rest.Length; length > 0; length--)
            {
                bool cutsPair = length < rest.Length && char.IsLowSurrogate(rest[length]) && char.IsHighSurrogate(rest[length - 1]);
                if (!cutsPair && ids.TryGetValue(_spelling.AsSpan(0, prefix.Length + length), out id))
                {
                    return true;
                }
            }

            id = 0;
            return false;
        }
    }
}
