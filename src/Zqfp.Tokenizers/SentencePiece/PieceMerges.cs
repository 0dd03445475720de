
namespace Zqfp.Tokenizers;

/// <summary>
/// The merges a SentencePiece BPE model implies: any two neighbours whose text joined is a piece may merge into it, the
/// highest score first. Written out as pairs of ids they are merges like any other.
/// </summary>
internal static class PieceMerges
{
    /// <param name="pieces">All pieces.</param>
    /// <param name="spoken">Ids of the pieces that text can become, by their text.</param>
    public static List<Merge> Derive(IReadOnlyList<SentencePiece> pieces, Dictionary<string, int> spoken)
    {
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup = spoken.GetAlternateLookup<ReadOnlySpan<char>>();
        double[] scores = [.. spoken.Values.Select(id => pieces[id].Score).Distinct().OrderDescending()];
        var merges = new List<Merge>();
        foreach ((string text, int id) in spoken)
        {
            // Pieces of one score share a rank: among them the leftmost goes first.
            int rank = scores.AsSpan().BinarySearch(new Descending(pieces[id].Score));
            for (int cut = 1; cut < text.Length; cut++)
            {
                if (lookup.TryGetValue(text.AsSpan(0, cut), out int left) && lookup.TryGetValue(text.AsSpan(cut), out int right)
                    && pieces[left].Kind == PieceKind.Normal && pieces[right].Kind == PieceKind.Normal)
                {
                    merges.Add(new Merge(left, right, rank, id));
                }
            }
        }

        return merges;
    }

    private readonly record struct Descending(double Score) : IComparable<double>
    {
        public int CompareTo(double other) => other.CompareTo(Score);
    }
}
