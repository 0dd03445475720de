using System.Buffers;
using System.Text;

namespace Zqfp.Tokenizers;

/// <summary>Unicode's normalization forms: NFC and NFD, with compatibility decompositions NFKC and NFKD.</summary>
/// <param name="compose">Whether what was decomposed is composed: NFC and NFKC.</param>
/// <param name="compatibility">Whether compatibility characters are decomposed: NFKC and NFKD.</param>
internal sealed class UnicodeNormalizer(bool compose, bool compatibility = false) : TextNormalizer
{
    // Below it nothing changes: the first combining mark, letter that decomposes, or compatibility character.
    private readonly char _firstChanging = compatibility ? '\u00A0' : compose ? '\u0300' : '\u00C0';
    private readonly NormalizationTables? _compatibility = compatibility ? NormalizationTables.Instance : null;

    protected override string Rewrite(string text)
    {
        ReadOnlySpan<char> all = text;
        CanonicalTables tables = CanonicalTables.Instance;
        StringBuilder? normalized = null;
        int copied = 0;
        int anchor = 0;
        int position = 0;
        while (position < text.Length)
        {
            // Nothing reaches back over a code point that normalization leaves alone: the last one passed begins what may change.
            if (IsStable(all, position, tables, out int units))
            {
                anchor = position;
                position += units;
                continue;
            }

            int end = position;
            while (end < text.Length && !IsStable(all, end, tables, out units))
            {
                end += units;
            }

            normalized ??= new StringBuilder(text.Length + 16);
            normalized.Append(text, copied, anchor - copied);
            AppendNormalized(normalized, all[anchor..end], tables);
            copied = anchor = position = end;
        }

        return normalized is null ? text : normalized.Append(text, copied, text.Length - copied).ToString();
    }

    private bool IsStable(ReadOnlySpan<char> text, int position, CanonicalTables tables, out int units)
    {
        units = 1;
        if (text[position] < _firstChanging)
        {
            return true;
        }

        OperationStatus status = Rune.DecodeFromUtf16(text[position..], out Rune rune, out units);
        if (status != OperationStatus.Done || (_compatibility is not null && _compatibility.TryDecompose(rune.Value, out _)))
        {
            return false;
        }

        return compose ? !tables.MayChange(rune.Value) : !tables.Decomposes(rune.Value);
    }

    private void AppendNormalized(StringBuilder normalized, ReadOnlySpan<char> text, CanonicalTables tables)
    {
        var points = new List<int>(text.Length + 4);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (_compatibility is not null && _compatibility.TryDecompose(rune.Value, out ReadOnlySpan<int> parts))
            {
                points.AddRange(parts);
            }
            else
            {
                Decompose(rune.Value, tables, points);
            }
        }

        SortMarks(points, tables);
        if (compose)
        {
            Compose(points, tables);
        }

        Span<char> units = stackalloc char[2];
        foreach (int point in points)
        {
            normalized.Append(units[..new Rune(point).EncodeToUtf16(units)]);
        }
    }

    private static void Decompose(int point, CanonicalTables tables, List<int> points)
    {
        if (Hangul.TryDecompose(point, out (int First, int Second) parts) || tables.TryDecompose(point, out parts))
        {
            Decompose(parts.First, tables, points);
            if (parts.Second >= 0)
            {
                Decompose(parts.Second, tables, points);
            }
        }
        else
        {
            points.Add(point);
        }
    }

    /// <summary>Orders each run of marks by combining class, equal ones as they stand.</summary>
    private static void SortMarks(List<int> points, CanonicalTables tables)
    {
        int start = 0;
        while (start < points.Count)
        {
            int end = start;
            while (end < points.Count && tables.ClassOf(points[end]) != 0)
            {
                end++;
            }

            if (end - start > 1)
            {
                int[] sorted = [.. points.GetRange(start, end - start).OrderBy(tables.ClassOf)];
                for (int i = 0; i < sorted.Length; i++)
                {
                    points[start + i] = sorted[i];
                }
            }

            start = end + 1;
        }
    }

    /// <summary>Composes each mark or starter with the last starter unless something of its class or higher stands between.</summary>
    private static void Compose(List<int> points, CanonicalTables tables)
    {
        int kept = 0;
        int starter = -1;
        int lastClass = -1;
        foreach (int point in points.ToArray())
        {
            int mark = tables.ClassOf(point);
            bool reaches = starter >= 0 && lastClass < mark;
            if (reaches && (Hangul.TryCompose(points[starter], point, out int composite)
                || tables.TryCompose(points[starter], point, out composite)))
            {
                points[starter] = composite;
                continue;
            }

            points[kept] = point;
            if (mark == 0)
            {
                starter = kept;
                lastClass = -1;
            }
            else
            {
                lastClass = mark;
            }

            kept++;
        }

        points.RemoveRange(kept, points.Count - kept);
    }
}
