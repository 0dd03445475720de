namespace Zqfp.Tokenizers;

/// <summary>Byte-pair encoding that starts from code points, with byte fallback (LLaMA, Mistral, Gemma).</summary>
/// <param name="symbols">Makes a word's first symbols.</param>
/// <param name="merges">The merges.</param>
/// <param name="wholeWords">Vocabulary by spelling, where a word that it holds is taken whole (<c>ignore_merges</c>); else null.</param>
internal sealed class CharacterBpeModel(CharacterSymbols symbols, MergeTable merges, Dictionary<string, int>? wholeWords) : ISubwordModel
{
    public SubwordWorker CreateWorker() => new Worker(symbols, merges, wholeWords);

    private sealed class Worker(CharacterSymbols symbols, MergeTable merges, Dictionary<string, int>? wholeWords) : SubwordWorker
    {
        private readonly PairMerger _merger = new(merges);
        private int[] _row = new int[256];
        private int[] _widths = [];
        private (int Start, int End)[] _stretches = [];

        public override void Encode(ReadOnlySpan<char> word, List<int> ids)
        {
            if (TryWholeWord(word, out int whole))
            {
                ids.Add(whole);
                return;
            }

            Prepare(word.Length);
            Span<int> row = _row.AsSpan(0, symbols.Write(word, _row));
            symbols.AppendIds(row[.._merger.Merge(row)], ids);
        }

        public override void Encode(ReadOnlySpan<char> word, List<WordToken> tokens)
        {
            if (TryWholeWord(word, out int whole))
            {
                tokens.Add(new WordToken(whole, 0, word.Length));
                return;
            }

            Prepare(word.Length);
            if (_stretches.Length < _row.Length)
            {
                _stretches = new (int Start, int End)[_row.Length];
                _widths = new int[_row.Length];
            }

            int count = symbols.Write(word, _row, _stretches);
            count = _merger.Merge(_row.AsSpan(0, count), _widths.AsSpan(0, count));
            WordToken.MergeStretches(_stretches, _widths.AsSpan(0, count));
            symbols.AppendTokens(_row.AsSpan(0, count), _stretches, tokens);
        }

        private bool TryWholeWord(ReadOnlySpan<char> word, out int id)
        {
            id = 0;
            return wholeWords is not null && wholeWords.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out id);
        }

        private void Prepare(int length)
        {
            if (_row.Length < CharacterSymbols.MostSymbols(length))
            {
                _row = new int[CharacterSymbols.MostSymbols(length)];
            }
        }
    }
}
