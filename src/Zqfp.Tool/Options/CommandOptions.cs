using System.CommandLine;
using System.CommandLine.Parsing;

namespace Zqfp.Tool;

/// <summary>The options that <see cref="OptionTable"/> has for one command, as a part of that command.</summary>
internal sealed class CommandOptions
{
    private readonly Dictionary<string, Option> _options = [];

    /// <summary>Adds the options to <paramref name="command"/>.</summary>
    public CommandOptions(Command command, OptionCommands kind)
    {
        foreach (ToolOption entry in OptionTable.Of(kind))
        {
            Option option = Create(entry, kind);
            _options.Add(entry.Name, option);
            command.Options.Add(option);
        }
    }

    /// <summary>One of the options, for a check beyond its own.</summary>
    public Option this[string name] => _options[name];

    /// <summary>What was given.</summary>
    public GivenOptions Of(ParseResult result) => new(_options, result);

    private static Option Create(ToolOption entry, OptionCommands command)
    {
        string[] aliases = entry.Alias is null ? [] : [entry.Alias];
        Option option = entry.Kind switch
        {
            OptionKind.Flag => new Option<bool>(entry.Name, aliases),
            _ when entry.IsList => new Option<string[]>(entry.Name, aliases)
            {
                Arity = ArgumentArity.OneOrMore,
                DefaultValueFactory = entry.Default is { } word ? _ => [word] : null,
            },
            _ => new Option<string?>(entry.Name, aliases) { DefaultValueFactory = entry.Default is { } value ? _ => value : null },
        };
        option.Description = entry.Otherwise is null ? entry.Help : $"{entry.Help} [default: {entry.Otherwise}]";
        option.HelpName = entry.ValueName.Length == 0 ? null : entry.ValueName;
        option.Required = entry.IsRequiredBy(command);
        if (entry.Kind is OptionKind.Choice or OptionKind.ChoiceList)
        {
            option.CompletionSources.Add([.. entry.Words]);
        }

        if (entry.Kind != OptionKind.Flag)
        {
            option.Validators.Add(result => Check(result, entry));
        }

        return option;
    }

    private static void Check(OptionResult result, ToolOption entry)
    {
        if (result.Tokens.Select(token => entry.Problem(token.Value)).FirstOrDefault(problem => problem is not null) is { } problem)
        {
            result.AddError($"{entry.Name} {problem}.");
        }
    }
}
