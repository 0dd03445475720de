using System.CommandLine;

namespace Zqfp.Tool.Options;

/// <summary>Options whose value is one of a few words.</summary>
internal static class Choice
{
    /// <summary>Creates an option that takes one of <paramref name="values"/>, the first of which is the default.</summary>
    public static Option<T> Create<T>(string name, string description, params (string Word, T Value)[] values)
    {
        string words = string.Join("|", values.Select(value => value.Word));
        var option = new Option<T>(name)
        {
            Description = $"{description} [default: {values[0].Word}]",
            HelpName = words,
            CustomParser = result =>
            {
                string word = result.Tokens.Count > 0 ? result.Tokens[^1].Value : values[0].Word;
                foreach ((string candidate, T value) in values)
                {
                    if (string.Equals(candidate, word, StringComparison.OrdinalIgnoreCase))
                    {
                        return value;
                    }
                }

                result.AddError($"{name} is one of {words.Replace("|", ", ", StringComparison.Ordinal)}, not '{word}'.");
                return values[0].Value;
            },
        };
        option.CompletionSources.Add([.. values.Select(value => value.Word)]);
        return option;
    }
}
