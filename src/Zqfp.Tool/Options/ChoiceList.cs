using System.CommandLine;

namespace Zqfp.Tool;

/// <summary>An option whose value is one or more of a few words, separated by commas or given by repeating the option.</summary>
internal sealed class ChoiceList<T>
{
    private readonly (string Word, T Value)[] _values;

    /// <summary>Creates the option; the first of <paramref name="values"/> is the default.</summary>
    public ChoiceList(string name, string description, params (string Word, T Value)[] values)
    {
        _values = values;
        Option = new Option<string[]>(name)
        {
            Description = description,
            HelpName = string.Join("|", values.Select(value => value.Word)) + ",..",
            DefaultValueFactory = _ => [values[0].Word],
            Arity = ArgumentArity.OneOrMore,
        };
        Option.CompletionSources.Add([.. values.Select(value => value.Word)]);
        Option.Validators.Add(result =>
        {
            string? wrong = Words(result.GetValueOrDefault<string[]>()).FirstOrDefault(word => !values.Any(value => value.Word == word));
            if (wrong is not null)
            {
                result.AddError($"{name} is one or more of {string.Join(", ", values.Select(value => value.Word))}, not '{wrong}'.");
            }
        });
    }

    public Option<string[]> Option { get; }

    /// <summary>What was chosen, each once, in the order given.</summary>
    public IReadOnlyList<T> Of(ParseResult result) =>
        [.. Words(result.GetRequiredValue(Option)).Distinct().Select(word => _values.Single(value => value.Word == word).Value)];

    private static IEnumerable<string> Words(string[] values) => values.SelectMany(value => value.Split(',', StringSplitOptions.TrimEntries));
}
