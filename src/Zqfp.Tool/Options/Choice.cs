using System.CommandLine;

namespace Zqfp.Tool;

/// <summary>An option whose value is one of a few words, each of which stands for a value of <typeparamref name="T"/>.</summary>
internal sealed class Choice<T>
{
    private readonly (string Word, T Value)[] _values;

    /// <summary>Creates the option; the first of <paramref name="values"/> is the default.</summary>
    public Choice(string name, string description, params (string Word, T Value)[] values)
    {
        _values = values;
        Option = new Option<string>(name)
        {
            Description = description,
            HelpName = string.Join("|", values.Select(value => value.Word)),
            DefaultValueFactory = _ => values[0].Word,
        };
        Option.CompletionSources.Add([.. values.Select(value => value.Word)]);
        Option.Validators.Add(result =>
        {
            string word = result.GetValueOrDefault<string>();
            if (!values.Any(value => value.Word == word))
            {
                result.AddError($"{name} is one of {string.Join(", ", values.Select(value => value.Word))}, not '{word}'.");
            }
        });
    }

    public Option<string> Option { get; }

    /// <summary>What was chosen.</summary>
    public T Of(ParseResult result)
    {
        string word = result.GetRequiredValue(Option);
        return _values.Single(value => value.Word == word).Value;
    }
}
