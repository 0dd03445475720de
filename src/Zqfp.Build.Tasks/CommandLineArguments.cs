using System.Text;

namespace Zqfp.Build.Tasks;

/// <summary>
/// A command line for a .NET program. .NET splits it by the same rules on every system: blanks separate, double quotes group,
/// and backslashes are special only before a double quote.
/// </summary>
internal sealed class CommandLineArguments
{
    private readonly StringBuilder _text = new();

    /// <summary>Appends one argument that the program receives exactly as given.</summary>
    public CommandLineArguments Add(string argument)
    {
        if (_text.Length > 0)
        {
            _text.Append(' ');
        }

        if (argument.Length > 0 && argument.IndexOfAny([' ', '\t', '\r', '\n', '\v', '"']) < 0)
        {
            _text.Append(argument);
            return this;
        }

        _text.Append('"');
        int backslashes = 0;
        foreach (char character in argument)
        {
            if (character == '\\')
            {
                backslashes++;
                continue;
            }

            // Before a quote each backslash counts double, and one more makes the quote literal.
            _text.Append('\\', character == '"' ? 2 * backslashes + 1 : backslashes).Append(character);
            backslashes = 0;
        }

        _text.Append('\\', 2 * backslashes).Append('"');
        return this;
    }

    /// <summary>Appends an option and its value, or nothing where the value is empty: then the tool's own default holds.</summary>
    public CommandLineArguments AddOption(string option, string value) =>
        value.Length == 0 ? this : Add(option).Add(value);

    public override string ToString() => _text.ToString();
}
