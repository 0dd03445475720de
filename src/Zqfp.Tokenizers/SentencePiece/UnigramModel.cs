using System.Runtime.InteropServices;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>
/// SentencePiece's unigram model: of all ways to cut a word into pieces the one with the greatest sum of scores (Viterbi).
/// A code point that is no piece counts as unknown, ten below the least score.
/// </summary>
internal sealed class UnigramModel : ISubwordModel
{
    private const float UnknownPenalty = 10;

    // Pieces by their characters: a child is found by its parent and one UTF-16 unit. Node 0 is the root.
    private readonly Dictionary<long, int> _children = [];
    private readonly List<int> _idByNode = [CharacterSymbols.Unknown];
    private readonly double[] _scores;
    private readonly double _unknownScore;
    private readonly bool _single;
    private readonly CharacterSymbols _symbols;

    /// <param name="pieces">All pieces.</param>
    /// <param name="symbols">Spells the code points that are no piece.</param>
    /// <param name="single">Whether scores are summed in single precision, as SentencePiece does; Hugging Face does so in double.</param>
    public UnigramModel(IReadOnlyList<SentencePiece> pieces, CharacterSymbols symbols, bool single)
    {
        _symbols = symbols;
        _single = single;
        double[] normal = [.. pieces.Where(piece => piece.Kind == PieceKind.Normal).Select(piece => piece.Score)];
        double greatest = normal.Length > 0 ? normal.Max() : 0;
        _unknownScore = Round((normal.Length > 0 ? normal.Min() : 0) - UnknownPenalty);
        _scores = new double[pieces.Count];
        for (int id = 0; id < pieces.Count; id++)
        {
            SentencePiece piece = pieces[id];
            if (piece.Kind is PieceKind.Normal or PieceKind.UserDefined)
            {
                Add(piece.Text, id);
                _scores[id] = piece.Kind == PieceKind.Normal
                    ? piece.Score
                    : Round(Round(Encoding.UTF8.GetByteCount(piece.Text) * greatest) - 0.1f);
            }
        }
    }

    public SubwordWorker CreateWorker() => new Worker(this);

    private void Add(string text, int id)
    {
        int node = 0;
        foreach (char c in text)
        {
            ref int child = ref CollectionsMarshal.GetValueRefOrAddDefault(_children, Key(node, c), out bool exists);
            if (!exists)
            {
                child = _idByNode.Count;
                _idByNode.Add(CharacterSymbols.Unknown);
            }

            node = child;
        }

        _idByNode[node] = id;
    }

    /// <summary>A sum of two numbers of single precision rounds to what single precision gives.</summary>
    private double Round(double sum) => _single ? (float)sum : sum;

    private static long Key(int node, char c) => ((long)node << 16) | c;

    private sealed class Worker(UnigramModel model) : SubwordWorker
    {
        // The best way to each index of the word: its score, its last piece, and where that begins (negative: no way yet).
        private double[] _score = [];
        private int[] _piece = [];
        private int[] _start = [];
        private int[] _row = [];
        private (int Start, int End)[] _stretches = [];

        public override void Encode(ReadOnlySpan<char> word, List<int> ids)
        {
            FindBest(word);
            int count = Trace(word);
            model._symbols.AppendIds(_row.AsSpan(_row.Length - count), ids);
        }

        public override void Encode(ReadOnlySpan<char> word, List<WordToken> tokens)
        {
            FindBest(word);
            int count = Trace(word);
            model._symbols.AppendTokens(_row.AsSpan(_row.Length - count), _stretches.AsSpan(_row.Length - count), tokens);
        }

        private void FindBest(ReadOnlySpan<char> word)
        {
            Prepare(word.Length);
            int index = 0;
            while (index < word.Length)
            {
                Rune.DecodeFromUtf16(word[index..], out _, out int units);
                if (!OfferPieces(word, index, units))
                {
                    Offer(index, index + units, CharacterSymbols.Unknown, model._unknownScore);
                }

                index += units;
            }
        }

        /// <summary>Offers every piece that begins at an index; returns whether one of them is the single code point there.</summary>
        private bool OfferPieces(ReadOnlySpan<char> word, int index, int units)
        {
            bool single = false;
            int node = 0;
            for (int end = index; end < word.Length && model._children.TryGetValue(Key(node, word[end]), out node); end++)
            {
                int id = model._idByNode[node];
                if (id != CharacterSymbols.Unknown)
                {
                    Offer(index, end + 1, id, model._scores[id]);
                    single |= end + 1 - index == units;
                }
            }

            return single;
        }

        private void Offer(int start, int end, int piece, double score)
        {
            double total = model.Round(_score[start] + score);
            if (_start[end] < 0 || total > _score[end])
            {
                _score[end] = total;
                _piece[end] = piece;
                _start[end] = start;
            }
        }

        /// <summary>Follows the best way back and writes its symbols to the end of the row; returns how many.</summary>
        private int Trace(ReadOnlySpan<char> word)
        {
            Span<int> spelled = stackalloc int[4];
            int at = _row.Length;
            for (int end = word.Length; end > 0; end = _start[end])
            {
                if (_piece[end] != CharacterSymbols.Unknown)
                {
                    _row[--at] = _piece[end];
                    _stretches[at] = (_start[end], end);
                    continue;
                }

                ReadOnlySpan<int> character = spelled[..model._symbols.Write(word[_start[end]..end], spelled)];
                at -= character.Length;
                character.CopyTo(_row.AsSpan(at));
                _stretches.AsSpan(at, character.Length).Fill((_start[end], end));
            }

            return _row.Length - at;
        }

        private void Prepare(int length)
        {
            if (_score.Length <= length)
            {
                _score = new double[length + 1];
                _piece = new int[length + 1];
                _start = new int[length + 1];
                _row = new int[CharacterSymbols.MostSymbols(length + 1)];
                _stretches = new (int Start, int End)[_row.Length];
            }

            _score[0] = 0;
            Array.Fill(_start, -1, 0, length + 1);
        }
    }
}
