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

        public override void Encode(ReadOnlySpan<char> word, List<int> ids)
        {
            if (wholeWords is not null && wholeWords.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out int whole))
            {
                ids.Add(whole);
                return;
            }

            if (_row.Length < CharacterSymbols.MostSymbols(word.Length))
            {
                _row = new int[CharacterSymbols.MostSymbols(word.Length)];
            }

            Span<int> row = _row.AsSpan(0, symbols.Write(word, _row));
            symbols.AppendIds(row[.._merger.Merge(row)], ids);
        }
    }
}
