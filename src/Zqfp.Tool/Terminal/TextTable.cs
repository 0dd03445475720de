using System.Text;

namespace Zqfp.Tool;

/// <summary>Rows of text with their columns aligned; numbers stand at the right of their column.</summary>
internal sealed class TextTable
{
    private const string Gap = "  ";

    private readonly List<string[]> _rows;
    private readonly HashSet<int> _numeric;

    /// <summary>Begins a table.</summary>
    /// <param name="header">The columns' names.</param>
    /// <param name="numeric">Indices of the columns that hold numbers.</param>
    public TextTable(string[] header, params int[] numeric)
    {
        _rows = [header];
        _numeric = [.. numeric];
    }

    /// <summary>Colors a cell, which is padded already.</summary>
    public Func<int, string, string> Paint { get; init; } = (_, cell) => cell;

    /// <summary>Adds a row of as many cells as there are columns.</summary>
    public void Add(params string[] cells) => _rows.Add([.. cells.Select(PrintableText.Line)]);

    /// <summary>The table, the header first; where a width is given the last column is broken to it.</summary>
    public string ToString(int? width)
    {
        int last = _rows[0].Length - 1;
        int[] widths = [.. Enumerable.Range(0, last + 1).Select(column => _rows.Max(row => row[column].Length))];
        int before = widths[..last].Sum() + (last * Gap.Length);
        var text = new StringBuilder();
        foreach (string[] row in _rows)
        {
            string[] lines = width is { } columns ? [.. Wrapping.Lines(row[last], columns - before, columns - before)] : [row[last]];
            for (int i = 0; i < lines.Length; i++)
            {
                IEnumerable<string> cells = [.. row[..last].Select(cell => i == 0 ? cell : ""), lines[i]];
                text.Append(string.Join(Gap, cells.Select((cell, column) => Paint(column, Padded(cell, column, widths[column])))).TrimEnd())
                    .Append('\n');
            }
        }

        return text.ToString();
    }

    /// <inheritdoc/>
    public override string ToString() => ToString(width: null);

    private string Padded(string cell, int column, int width) => _numeric.Contains(column) ? cell.PadLeft(width) : cell.PadRight(width);
}
