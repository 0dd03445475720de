namespace Zqfp.Tokenizers;

/// <summary>Which code points are one when case does not count.</summary>
internal sealed class CaseFolding
{
    private readonly Dictionary<int, int[]> _groups = [];
    private readonly Dictionary<int, int[]> _multiple = [];

    /// <param name="groups">Groups of equal code points, written <c>4B=6B=212A</c>.</param>
    /// <param name="multiple">Code points that fold to several, written <c>DF=73+73</c>.</param>
    public CaseFolding(string groups, string multiple)
    {
        foreach (string entry in groups.Split(' '))
        {
            int[] group = [.. entry.Split('=').Select(UnicodeData.Hex)];
            foreach (int member in group)
            {
                _groups[member] = group;
            }
        }

        foreach (string entry in multiple.Split(' '))
        {
            string[] sides = entry.Split('=');
            _multiple[UnicodeData.Hex(sides[0])] = [.. sides[1].Split('+').Select(UnicodeData.Hex)];
        }
    }

    /// <summary>A set with everything that differs from a member by case alone.</summary>
    public CodePointSet Close(CodePointSet set) => CodePointSet.FromRanges(
        set.Ranges.Concat(
            _groups.Where(entry => set.Contains(entry.Key)).SelectMany(entry => entry.Value).Select(member => (member, member))));

    /// <summary>Whether a member folds to several code points, as ß does to ss.</summary>
    public bool FoldsToSeveral(CodePointSet set) => _multiple.Keys.Any(set.Contains);

    /// <summary>Whether code points in a row are what a single one folds to.</summary>
    public bool IsFoldOfOne(IReadOnlyList<int> run)
    {
        return _multiple.Values.Any(fold => Enumerable.Range(0, Math.Max(0, run.Count - fold.Length + 1))
            .Any(start => Enumerable.Range(0, fold.Length).All(i => AreEqual(run[start + i], fold[i]))));
    }

    private bool AreEqual(int first, int second) => first == second
        || (_groups.TryGetValue(first, out int[]? group) && group.Contains(second));
}
