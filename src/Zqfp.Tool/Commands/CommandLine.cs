using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Zqfp.Tool.Terminal;

namespace Zqfp.Tool.Commands;

/// <summary>The commands, and the way from arguments to an exit code.</summary>
internal static class CommandLine
{
    public const string Name = "dotnet zqfp";

    /// <summary>Runs one command.</summary>
    /// <returns>One of <see cref="ExitCodes"/>.</returns>
    public static int Run(string[] arguments)
    {
        RootCommand root = Create();

        // A path may begin with '@'; it is never a response file.
        ParseResult result = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (result.Action is ParseErrorAction || (result.Errors.Count > 0 && result.Action is not HelpAction))
        {
            string help = string.Join(' ', result.CommandResult.Command == root ? [Name] : [Name, result.CommandResult.Command.Name]);
            foreach (string message in result.Errors.Select(error => error.Message).Distinct())
            {
                DiagnosticWriter.Error("ZQFP0900", $"{message.TrimEnd('.')}. Run '{help} --help' for the options.");
            }

            return ExitCodes.Usage;
        }

        return result.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
    }

    private static RootCommand Create()
    {
        var root = new RootCommand("Quantizes ONNX language models to FP4 weights and FP8 activations, and measures what that costs.");
        root.Subcommands.Add(QuantizeCommand.Create());
        root.Subcommands.Add(EvaluateCommand.Create());
        root.Subcommands.Add(GateCommand.Create());
        root.Subcommands.Add(InspectCommand.Create());
        root.Subcommands.Add(DoctorCommand.Create());
        root.Subcommands.Add(QuantizeCommand.CreatePlan());
        root.Subcommands.Add(VerifyCommand.Create());
        HelpText.Extend(root, HelpText.ExitCodes);
        return root;
    }
}
