using System.CommandLine;

namespace Zqfp.Tool;

/// <summary>What a mistyped command or option was probably meant to be.</summary>
internal static class Suggestions
{
    /// <summary>
    /// The name of a command (at the root) or of an option that is nearest to <paramref name="word"/>, or null where none is near.
    /// </summary>
    public static string? For(string word, Command command) => Spelling.Nearest(word, word.StartsWith('-')
        ? command.Options.Where(option => !option.Hidden).SelectMany(option => option.Aliases.Append(option.Name))
            .Where(name => name.StartsWith("--", StringComparison.Ordinal))
        : command.Subcommands.Where(subcommand => !subcommand.Hidden).Select(subcommand => subcommand.Name));
}
