using System.CommandLine;
using System.Globalization;

namespace Zqfp.Tool;

/// <summary>Options whose value is a number, written as in any country: with a point and no separators.</summary>
internal static class Number
{
    /// <summary>Creates an option for a whole number of at least <paramref name="least"/>.</summary>
    public static Option<int> Whole(string name, string description, int least, int defaultValue)
    {
        Option<int> option = WholeOrZero(name, description, least);
        option.DefaultValueFactory = _ => defaultValue;
        return option;
    }

    /// <summary>Creates an option for a whole number, 0 when it is not given: the description says what that stands for.</summary>
    public static Option<int> WholeOrZero(string name, string description, int least = 0) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) || value < least)
            {
                result.AddError($"{name} is a whole number of at least {least}, not '{text}'.");
            }

            return value;
        },
    };

    /// <summary>Creates an option for any whole number, null when it is not given.</summary>
    public static Option<int?> Optional(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "N",
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value))
            {
                return value;
            }

            result.AddError($"{name} is a whole number, not '{text}'.");
            return null;
        },
    };

    /// <summary>Creates an option for a positive number.</summary>
    public static Option<double?> Positive(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "X",
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            if (TryParse(text, out double value) && value > 0)
            {
                return value;
            }

            result.AddError($"{name} is a positive number, not '{text}'.");
            return null;
        },
    };

    /// <summary>Creates an option for a percentage, which comes out as a fraction. The sign is required: 0.05 could mean either.</summary>
    public static Option<double?> Percentage(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "P%",
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            if (text.EndsWith('%') && TryParse(text[..^1], out double percent) && percent >= 0)
            {
                return percent / 100;
            }

            result.AddError($"{name} is a percentage such as 5%, not '{text}'.");
            return null;
        },
    };

    private static bool TryParse(string text, out double value) =>
        double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value)
        && double.IsFinite(value);
}
