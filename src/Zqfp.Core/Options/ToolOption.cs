using System.Globalization;

namespace Zqfp;

/// <summary>One option: of the command line, of recipes, and of the metadata of a <c>ZqfpModel</c>.</summary>
/// <param name="name">Its name on the command line, such as <c>--group-size</c>; empty where only a build has it.</param>
/// <param name="metadata">Its name in a project, such as <c>GroupSize</c>; null where a build does not set it.</param>
/// <param name="commands">The commands that take it.</param>
/// <param name="kind">What its value is.</param>
/// <param name="help">What it means, one sentence without a full stop, for the command's help, the schema and the reference.</param>
/// <param name="more">What the reference adds to that, in Markdown.</param>
/// <param name="byDefault">Its value where it is not given; null where it then has none.</param>
/// <param name="otherwise">What happens where it is not given, where that is no value.</param>
/// <param name="minimum">The least value of a whole number.</param>
/// <param name="words">The words of a choice, separated by vertical bars, the default first.</param>
/// <param name="valueName">What stands for the value in help; by default as its kind has it.</param>
/// <param name="requiredBy">The commands that demand it.</param>
/// <param name="alias">Another name on the command line, or null.</param>
internal sealed class ToolOption(
    string name,
    string? metadata,
    OptionCommands commands,
    OptionKind kind,
    string help,
    string? more = null,
    string? byDefault = null,
    string? otherwise = null,
    int minimum = 0,
    string words = "",
    string? valueName = null,
    OptionCommands requiredBy = OptionCommands.None,
    string? alias = null)
{
    public string Name { get; } = name;

    public string? Metadata { get; } = metadata;

    /// <summary>Its key in a recipe: the metadata in camel case.</summary>
    public string? Key { get; } = metadata is null || name.Length == 0 ? null : char.ToLowerInvariant(metadata[0]) + metadata.Substring(1);

    public OptionCommands Commands { get; } = commands;

    public OptionKind Kind { get; } = kind;

    public string Help { get; } = help;

    public string? More { get; } = more;

    public string? Default { get; } = byDefault ?? (kind is OptionKind.Choice or OptionKind.ChoiceList ? words.Split('|')[0] : null);

    public string? Otherwise { get; } = otherwise;

    public int Minimum { get; } = minimum;

    public IReadOnlyList<string> Words { get; } = words.Length == 0 ? [] : words.Split('|');

    public string? Alias { get; } = alias;

    /// <summary>What stands for the value in help and reference; empty for a flag.</summary>
    public string ValueName { get; } = valueName ?? kind switch
    {
        OptionKind.Flag => string.Empty,
        OptionKind.Text => "TEXT",
        OptionKind.Name => "NAME",
        OptionKind.Input or OptionKind.Place => "FILE",
        OptionKind.Whole => "N",
        OptionKind.Fraction or OptionKind.Positive => "X",
        OptionKind.Percentage => "P%",
        OptionKind.Size => "SIZE",
        OptionKind.Shard => "I/N",
        OptionKind.Choice => words,
        OptionKind.ChoiceList => words + ",..",
        OptionKind.Overrides => "PATTERN:KEY=VALUE,..",
        OptionKind.Tasks => "TASK",
        _ => "PATTERN",
    };

    /// <summary>
    /// Whether there may be several values: separated by semicolons in metadata, an array in a recipe, repeated on the command line.
    /// </summary>
    public bool IsList => Kind is OptionKind.ChoiceList or OptionKind.List or OptionKind.Overrides or OptionKind.Tasks;

    /// <summary>Whether a command takes it.</summary>
    public bool IsOf(OptionCommands command) => (Commands & command) != 0;

    /// <summary>Whether a command demands it.</summary>
    public bool IsRequiredBy(OptionCommands command) => (requiredBy & command) != 0;

    /// <summary>
    /// What is wrong with one value, to be put behind the option's name, such as "is a percentage such as 5%, not '5'"; or null.
    /// </summary>
    public string? Problem(string value)
    {
        if (value.Contains('\0'))
        {
            return "has a character that no argument and no path can have, U+0000";
        }

        if (IsPath && value.Length == 0)
        {
            return $"names a {(ValueName == "FOLDER" ? "folder" : "file")}; '' is none";
        }

        string? expected = Kind switch
        {
            OptionKind.Flag when !bool.TryParse(value, out _) => "is true or false",
            OptionKind.Whole when !IsWhole(value) => Minimum == int.MinValue
                ? "is a whole number"
                : $"is a whole number of at least {Minimum}",
            OptionKind.Fraction when !(IsNumber(value, out double number) && number <= 1) => "is a number from 0 to 1",
            OptionKind.Positive when !(IsNumber(value, out double number) && number > 0) => "is a positive number",
            OptionKind.Percentage when !IsPercentage(value) => "is a percentage such as 5%",
            OptionKind.Size when ByteSize.Parse(value) is null => "is a size such as 3GB or 750MB",
            OptionKind.Shard when ShardText.Parse(value) is null => "is a number and a count such as 1/4 to 4/4, or auto",
            OptionKind.Choice when !Words.Contains(value) => $"is one of {string.Join(", ", Words)}",
            _ => null,
        };
        return expected is not null ? $"{expected}, not '{value}'"
            : Kind == OptionKind.Overrides ? OverrideText.Problem(value, Words)
            : Kind == OptionKind.ChoiceList && value.Split(',').FirstOrDefault(word => !Words.Contains(word.Trim())) is { } wrong
                ? $"is one or more of {string.Join(", ", Words)}, not '{wrong.Trim()}'"
            : null;
    }

    private bool IsPath => Kind is OptionKind.Input or OptionKind.Place || (Kind == OptionKind.List && ValueName == "FILE");

    private bool IsWhole(string value) =>
        int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) && number >= Minimum;

    private static bool IsPercentage(string value) => value.Length > 0 && value[value.Length - 1] == '%'
        && IsNumber(value.Substring(0, value.Length - 1), out _);

    /// <summary>A number of 0 or more, written as in any country: with a point and no separators.</summary>
    private static bool IsNumber(string value, out double number) =>
        double.TryParse(value, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number)
        && number >= 0 && !double.IsInfinity(number);
}
