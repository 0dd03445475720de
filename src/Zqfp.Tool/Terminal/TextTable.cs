using System.Text;

namespace Zqfp.Tool.Terminal;

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

    /// <summary>Adds a row of as many cells as there are columns.</summary>
    public void Add(params string[] cells) => _rows.Add(cells);

    /// <summary>The table, a line a row, the header first.</summary>
    public override string ToString()
    {
        int[] widths = [.. Enumerable.Range(0, _rows[0].Length).Select(column => _rows.Max(row => row[column].Length))];
        var text = new StringBuilder();
        foreach (string[] row in _rows)
        {
            IEnumerable<string> cells = row.Select((cell, column) => _numeric.Contains(column) ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]));
            text.Append(string.Join(Gap, cells).TrimEnd()).Append('\n');
        }

        return text.ToString();
    }
}
