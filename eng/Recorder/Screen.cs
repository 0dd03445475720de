using System.Globalization;
using System.Text;

namespace Recorder;

/// <summary>The number of a character's color (30 to 37, 90 to 97; 0 for the terminal's own), and whether it is bold.</summary>
internal readonly record struct Look(int Color, bool IsBold);

/// <summary>A character on the screen.</summary>
internal readonly record struct Cell(char Character, Look Look);

/// <summary>
/// A terminal that never forgets a line: it understands what .NET's terminal logger and the tool write, which is text, movements of the
/// cursor, erasing, and colors. Everything else (titles, links, modes) is skipped.
/// </summary>
internal sealed class Screen(int columns)
{
    private readonly List<List<Cell>> _lines = [[]];
    private readonly StringBuilder _sequence = new();
    private int _row;
    private int _column;
    private Look _look;
    private State _state;

    private enum State
    {
        Text,
        Escape,
        Control,
        SystemCommand,
        SystemCommandEscape,
    }

    public IReadOnlyList<IReadOnlyList<Cell>> Lines => _lines;

    /// <summary>The text of all lines, without spaces at their ends.</summary>
    public string[] Text => [.. _lines.Select(line => string.Concat(line.Select(cell => cell.Character)).TrimEnd())];

    public List<Cell[]> Snapshot() => [.. _lines.Select(line => line.ToArray())];

    public void Write(ReadOnlySpan<char> text)
    {
        foreach (char character in text)
        {
            Write(character);
        }
    }

    private void Write(char character)
    {
        switch (_state)
        {
            case State.Escape:
                _state = character switch { '[' => State.Control, ']' => State.SystemCommand, _ => State.Text };
                break;
            case State.Control when character is >= '@' and <= '~':
                Control(character, _sequence.ToString());
                _sequence.Clear();
                _state = State.Text;
                break;
            case State.Control:
                _sequence.Append(character);
                break;
            case State.SystemCommand when character is '\a' or '\e':
                _state = character == '\a' ? State.Text : State.SystemCommandEscape;
                break;
            case State.SystemCommand:
                break;
            case State.SystemCommandEscape:
                _state = State.Text;
                break;
            default:
                Plain(character);
                break;
        }
    }

    private void Plain(char character)
    {
        switch (character)
        {
            case '\e':
                _state = State.Escape;
                break;
            case '\r':
                _column = 0;
                break;
            case '\n':
                MoveTo(_row + 1, _column);
                break;
            case '\b':
                _column = Math.Max(0, _column - 1);
                break;
            case >= ' ':
                if (_column == columns)
                {
                    MoveTo(_row + 1, 0);
                }

                Put(character);
                break;
        }
    }

    private void Put(char character)
    {
        List<Cell> line = _lines[_row];
        while (line.Count <= _column)
        {
            line.Add(new Cell(' ', default));
        }

        line[_column++] = new Cell(character, _look);
    }

    private void Control(char command, string parameters)
    {
        int first = int.TryParse(parameters.Split(';')[0], NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0;
        int count = Math.Max(1, first);
        switch (command)
        {
            case 'A':
                MoveTo(_row - count, _column);
                break;
            case 'B':
                MoveTo(_row + count, _column);
                break;
            case 'C':
                _column = Math.Min(columns - 1, _column + count);
                break;
            case 'D':
                _column = Math.Max(0, _column - count);
                break;
            case 'E':
                MoveTo(_row + count, 0);
                break;
            case 'F':
                MoveTo(_row - count, 0);
                break;
            case 'G':
                _column = Math.Min(columns - 1, count - 1);
                break;
            case 'J':
                EraseLine(first);
                if (first == 0)
                {
                    _lines.RemoveRange(_row + 1, _lines.Count - _row - 1);
                }

                break;
            case 'K':
                EraseLine(first);
                break;
            case 'm':
                Array.ForEach(parameters.Split(';'), SetLook);
                break;
        }
    }

    private void EraseLine(int which)
    {
        List<Cell> line = _lines[_row];
        switch (which)
        {
            case 0 when line.Count > _column:
                line.RemoveRange(_column, line.Count - _column);
                break;
            case 1:
                for (int i = 0; i < Math.Min(line.Count, _column + 1); i++)
                {
                    line[i] = new Cell(' ', default);
                }

                break;
            case 2:
                line.Clear();
                break;
        }
    }

    private void SetLook(string parameter) => _look = parameter switch
    {
        "" or "0" => default,
        "1" => _look with { IsBold = true },
        "22" => _look with { IsBold = false },
        "39" => _look with { Color = 0 },
        _ when int.TryParse(parameter, out int color) && color is (>= 30 and <= 37) or (>= 90 and <= 97) => _look with { Color = color },
        _ => _look,
    };

    private void MoveTo(int row, int column)
    {
        (_row, _column) = (Math.Max(0, row), column);
        while (_lines.Count <= _row)
        {
            _lines.Add([]);
        }
    }
}
