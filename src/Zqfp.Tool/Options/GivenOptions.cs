using System.CommandLine;
using System.Globalization;

namespace Zqfp.Tool;

/// <summary>The values of a command's options, by their names; they have been checked.</summary>
internal sealed class GivenOptions(IReadOnlyDictionary<string, Option> options, ParseResult result)
{
    /// <summary>Whether a flag is given.</summary>
    public bool Flag(string name) => result.GetValue((Option<bool>)options[name]);

    /// <summary>The value as it is written, or null.</summary>
    public string? Text(string name) => result.GetValue((Option<string?>)options[name]);

    /// <summary>A value that is demanded or has a default.</summary>
    public string Required(string name) => Text(name) ?? throw new InvalidOperationException($"{name} has no value.");

    /// <summary>The texts of an option that may be repeated.</summary>
    public IReadOnlyList<string> List(string name) => result.GetValue((Option<string[]>)options[name]) ?? [];

    /// <summary>A whole number; 0 where it is not given and has no default.</summary>
    public int Whole(string name) => OptionalWhole(name) ?? 0;

    /// <summary>A whole number, or null where it is not given and has no default.</summary>
    public int? OptionalWhole(string name) =>
        Text(name) is { } text ? int.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) : null;

    /// <summary>A number, or null.</summary>
    public double? Number(string name) => Text(name) is { } text ? double.Parse(text, CultureInfo.InvariantCulture) : null;

    /// <summary>A percentage as a fraction, or null.</summary>
    public double? Percentage(string name) => Text(name) is { } text ? double.Parse(text[..^1], CultureInfo.InvariantCulture) / 100 : null;

    /// <summary>The value of <typeparamref name="T"/> that is named as the word chosen, without its hyphens.</summary>
    public T Choice<T>(string name)
        where T : struct, Enum => Parse<T>(Required(name));

    /// <summary>What was chosen, each once, in the order given.</summary>
    public IReadOnlyList<T> Choices<T>(string name)
        where T : struct, Enum =>
        [.. List(name).SelectMany(value => value.Split(',', StringSplitOptions.TrimEntries)).Distinct().Select(Parse<T>)];

    private static T Parse<T>(string word)
        where T : struct, Enum => Enum.Parse<T>(word.Replace("-", "", StringComparison.Ordinal), ignoreCase: true);
}
