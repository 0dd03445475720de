namespace Zqfp.Tool;

/// <summary>Colors of the terminal.</summary>
internal enum Color
{
    Red = 31,
    Green = 32,
    Yellow = 33,
}

/// <summary>
/// What may be done to a stream: color, overwriting and breaking lines only on a terminal, no color where NO_COLOR is set.
/// </summary>
internal sealed class Style
{
    private readonly bool _color;

    private Style(bool redirected)
    {
        IsTerminal = !redirected && Environment.GetEnvironmentVariable("TERM") != "dumb";
        _color = IsTerminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
    }

    /// <summary>The style of standard output.</summary>
    public static Style Output { get; } = new(Console.IsOutputRedirected);

    /// <summary>The style of standard error.</summary>
    public static Style Error { get; } = new(Console.IsErrorRedirected);

    /// <summary>Whether a line can be overwritten.</summary>
    public bool IsTerminal { get; }

    /// <summary>Columns of the terminal; null where there is none.</summary>
    public int? Width => IsTerminal ? TerminalWidth() : null;

    public string Paint(string text, Color color) => _color ? $"\u001b[{(int)color}m{text}\u001b[0m" : text;

    private static int TerminalWidth()
    {
        const int Usual = 80;
        try
        {
            return Console.WindowWidth > 1 ? Console.WindowWidth : Usual;
        }
        catch (IOException)
        {
            return Usual;
        }
    }
}
