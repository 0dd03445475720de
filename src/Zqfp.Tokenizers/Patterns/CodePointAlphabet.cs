using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>
/// The letters that a pattern distinguishes: code points that are in the same ones of its sets become the same UTF-16 unit. Over these
/// letters a regular expression sees exactly the pattern's sets, whatever its engine knows of Unicode, and one unit a code point.
/// </summary>
internal sealed class CodePointAlphabet
{
    private const int PageBits = 8;

    private readonly List<(int First, char Letter)> _intervals;
    private readonly char[] _basicPlane = new char[char.MaxValue + 1];
    private readonly char[][] _pages = new char[(CodePointSet.Last >> PageBits) + 1][];

    /// <param name="sets">The pattern's sets.</param>
    /// <exception cref="PatternException">There are more letters than UTF-16 units.</exception>
    public CodePointAlphabet(IReadOnlyList<CodePointSet> sets)
    {
        int[] starts = [.. sets.SelectMany(set => set.Ranges).SelectMany(range => new[] { range.First, range.Last + 1 })
            .Append(0).Where(start => start <= CodePointSet.Last).Distinct().Order()];
        int[] classes = Partition(starts, sets);
        Dictionary<int, char> letters = AssignLetters(starts, classes);
        _intervals = [.. starts.Select((start, index) => (start, letters[classes[index]]))];
        FillPages();
        for (int page = 0; page < _basicPlane.Length >> PageBits; page++)
        {
            _pages[page].CopyTo(_basicPlane, page << PageBits);
        }
    }

    /// <summary>The letter of a code point.</summary>
    public char Map(int codePoint) => _pages[codePoint >> PageBits][codePoint & ((1 << PageBits) - 1)];

    /// <summary>The letters of one of the pattern's sets, ascending.</summary>
    public IReadOnlyList<char> LettersOf(CodePointSet set) =>
        [.. _intervals.Where(interval => set.Contains(interval.First)).Select(interval => interval.Letter).Distinct().Order()];

    /// <summary>Writes one letter for each code point of a text; returns how many.</summary>
    /// <param name="text">The text. An unpaired surrogate is read as U+FFFD, which is also what the model sees.</param>
    /// <param name="letters">Receives the letters: as many as the text has units at most.</param>
    /// <param name="starts">Receives the index in the text at which each code point begins, and the text's end; empty where letters and
    /// units correspond.</param>
    public int Write(ReadOnlySpan<char> text, Span<char> letters, Span<int> starts)
    {
        if (starts.Length == 0)
        {
            char[] basicPlane = _basicPlane;
            letters = letters[..text.Length];
            for (int i = 0; i < letters.Length; i++)
            {
                letters[i] = basicPlane[text[i]];
            }

            return text.Length;
        }

        int count = 0;
        int position = 0;
        while (position < text.Length)
        {
            Rune.DecodeFromUtf16(text[position..], out Rune rune, out int units);
            starts[count] = position;
            letters[count++] = Map(rune.Value);
            position += units;
        }

        starts[count] = text.Length;
        return count;
    }

    /// <summary>Numbers the intervals so that two have the same number exactly where they are in the same sets.</summary>
    private static int[] Partition(int[] starts, IReadOnlyList<CodePointSet> sets)
    {
        var classes = new int[starts.Length];
        int next = 1;
        var split = new Dictionary<int, int>();
        foreach (CodePointSet set in sets)
        {
            split.Clear();
            foreach ((int first, int last) in set.Ranges)
            {
                for (int i = Array.BinarySearch(starts, first); i < starts.Length && starts[i] <= last; i++)
                {
                    if (!split.TryGetValue(classes[i], out int inside))
                    {
                        split.Add(classes[i], inside = next++);
                    }

                    classes[i] = inside;
                }
            }
        }

        return classes;
    }

    /// <summary>A line break keeps its own unit, by which the engine finds lines; the others take the units from 1 on.</summary>
    private static Dictionary<int, char> AssignLetters(int[] starts, int[] classes)
    {
        int lineBreak = Array.BinarySearch(starts, '\n');
        var letters = new Dictionary<int, char>();
        if (lineBreak >= 0)
        {
            letters.Add(classes[lineBreak], '\n');
        }

        char next = '\u0001';
        foreach (int number in classes)
        {
            if (letters.TryAdd(number, next))
            {
                next++;
                next += next == '\n' ? '\u0001' : '\0';
                if (char.IsSurrogate(next))
                {
                    throw new PatternException("more distinctions than can be made");
                }
            }
        }

        return letters;
    }

    private void FillPages()
    {
        var uniform = new Dictionary<char, char[]>();
        int interval = 0;
        for (int page = 0; page < _pages.Length; page++)
        {
            int first = page << PageBits;
            int end = first + (1 << PageBits);
            while (interval + 1 < _intervals.Count && _intervals[interval + 1].First <= first)
            {
                interval++;
            }

            if (interval + 1 == _intervals.Count || _intervals[interval + 1].First >= end)
            {
                char letter = _intervals[interval].Letter;
                if (!uniform.TryGetValue(letter, out char[]? shared))
                {
                    shared = new char[1 << PageBits];
                    Array.Fill(shared, letter);
                    uniform.Add(letter, shared);
                }

                _pages[page] = shared;
                continue;
            }

            _pages[page] = new char[1 << PageBits];
            for (int point = first; point < end; point++)
            {
                if (interval + 1 < _intervals.Count && _intervals[interval + 1].First == point)
                {
                    interval++;
                }

                _pages[page][point - first] = _intervals[interval].Letter;
            }
        }
    }
}
