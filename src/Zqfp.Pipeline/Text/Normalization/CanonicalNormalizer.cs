using System.Buffers;
using System.Text;

namespace Zqfp.Pipeline.Text.Normalization;

/// <summary>Unicode's canonical normalization forms: NFC where <paramref name="compose"/>, else NFD.</summary>
internal sealed class CanonicalNormalizer(bool compose) : TextNormalizer
{
    // Below these nothing changes: the first combining mark, and the first letter that decomposes.
    private const char FirstComposing = '\u0300';
    private const char FirstDecomposing = '\u00C0';

    public override string Normalize(string text)
    {
        CanonicalTables tables = CanonicalTables.Instance;
        if (IsStable(text, tables))
        {
            return text;
        }

        var points = new List<int>(text.Length + 16);
        foreach (Rune rune in text.EnumerateRunes())
        {
            Decompose(rune.Value, tables, points);
        }

        SortMarks(points, tables);
        if (compose)
        {
            Compose(points, tables);
        }

        var normalized = new StringBuilder(points.Count + 16);
        Span<char> units = stackalloc char[2];
        foreach (int point in points)
        {
            normalized.Append(units[..new Rune(point).EncodeToUtf16(units)]);
        }

        return normalized.ToString();
    }

    private bool IsStable(string text, CanonicalTables tables)
    {
        char first = compose ? FirstComposing : FirstDecomposing;
        int start = text.AsSpan().IndexOfAnyExceptInRange('\0', (char)(first - 1));
        if (start < 0)
        {
            return true;
        }

        if (!compose)
        {
            return false;
        }

        ReadOnlySpan<char> rest = text.AsSpan(start);
        while (rest.Length > 0)
        {
            OperationStatus status = Rune.DecodeFromUtf16(rest, out Rune rune, out int units);
            if (status != OperationStatus.Done || (rune.Value >= first && tables.MayChange(rune.Value)))
            {
                return false;
            }

            rest = rest[units..];
        }

        return true;
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
            if (reaches && (Hangul.TryCompose(points[starter], point, out int composite) || tables.TryCompose(points[starter], point, out composite)))
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
