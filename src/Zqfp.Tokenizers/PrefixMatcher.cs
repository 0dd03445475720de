using System.Buffers;

namespace Zqfp.Tokenizers;

/// <summary>Finds the longest of many strings that begins at a place in a text.</summary>
internal sealed class PrefixMatcher
{
    private readonly SearchValues<char> _beginnings;
    private readonly Dictionary<char, int[]> _lengthsByBeginning;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _values;

    /// <param name="entries">Strings with the number each stands for. Empty strings are left out; of equal ones the last counts.</param>
    public PrefixMatcher(IEnumerable<(string Content, int Value)> entries)
    {
        var values = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((string content, int value) in entries.Where(entry => entry.Content.Length > 0))
        {
            values[content] = value;
        }

        _values = values.GetAlternateLookup<ReadOnlySpan<char>>();
        _lengthsByBeginning = values.Keys.GroupBy(content => content[0])
            .ToDictionary(group => group.Key, group => group.Select(content => content.Length).Distinct().OrderDescending().ToArray());
        _beginnings = SearchValues.Create([.. _lengthsByBeginning.Keys]);
    }

    public bool IsEmpty => _lengthsByBeginning.Count == 0;

    /// <summary>Index of the first character that begins one of the strings; negative where none does.</summary>
    public int IndexOfBeginning(ReadOnlySpan<char> text) => text.IndexOfAny(_beginnings);

    /// <summary>The longest string that <paramref name="text"/> begins with.</summary>
    public bool TryMatch(ReadOnlySpan<char> text, out int length, out int value)
    {
        length = 0;
        value = 0;
        if (text.Length == 0 || !_lengthsByBeginning.TryGetValue(text[0], out int[]? lengths))
        {
            return false;
        }

        foreach (int candidate in lengths)
        {
            if (candidate <= text.Length && _values.TryGetValue(text[..candidate], out value))
            {
                length = candidate;
                return true;
            }
        }

        return false;
    }
}
