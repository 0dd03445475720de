using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Zqfp.Tool;

/// <summary>What stands below the options in a command's help.</summary>
internal static class HelpText
{
    /// <summary>The section on exit codes.</summary>
    public static string ExitCodes { get; } = "Exit codes:\n"
        + string.Concat(Tool.ExitCodes.All.Select(entry => $"  {entry.Code,3}  {entry.Meaning}\n"));

    /// <summary>A section of command lines to copy.</summary>
    public static string Examples(params string[] lines) => "Examples:\n" + string.Concat(lines.Select(line => $"  {line}\n"));

    /// <summary>Appends a section to the help of a command.</summary>
    public static void Extend(Command command, string section)
    {
        HelpOption help = command.Options.OfType<HelpOption>().FirstOrDefault() ?? new HelpOption();
        if (!command.Options.Contains(help))
        {
            command.Options.Add(help);
        }

        help.Action = new ExtendedHelp((HelpAction)help.Action!, section);
    }

    private sealed class ExtendedHelp(HelpAction standard, string section) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            standard.Invoke(parseResult);
            parseResult.InvocationConfiguration.Output.Write(section);
            return Tool.ExitCodes.Success;
        }
    }
}
