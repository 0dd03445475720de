using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Zqfp.Tool;

/// <summary>The commands, and the way from arguments to an exit code.</summary>
internal static class CommandLine
{
    public const string Name = "dotnet zqfp";

    /// <summary>Runs one command.</summary>
    /// <returns>One of <see cref="ExitCodes"/>.</returns>
    public static int Run(string[] arguments) => Job.Guard(() => RunUnguarded(arguments));

    private static int RunUnguarded(string[] arguments)
    {
        RootCommand root = Create();
        if (arguments.Length == 0)
        {
            root.Parse(["--help"]).Invoke(new InvocationConfiguration { Output = Console.Error });
            DiagnosticWriter.Error("ZQFP0900", "Name a command.");
            return ExitCodes.Usage;
        }

        arguments = RecipeOptions.Expand(arguments);

        // A path may begin with '@'; it is never a response file.
        ParseResult result = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        bool isQuestionOfShell = root.Directives.OfType<SuggestDirective>().Any(directive => result.GetResult(directive) is not null);
        if (!isQuestionOfShell && (result.Action is ParseErrorAction || (result.Errors.Count > 0 && result.Action is not HelpAction)))
        {
            Report(result, root);
            return ExitCodes.Usage;
        }

        return result.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
    }

    /// <summary>One error for each thing that is wrong; behind a command that does not exist nothing else is looked at.</summary>
    private static void Report(ParseResult result, RootCommand root)
    {
        Command command = result.CommandResult.Command;
        string help = string.Join(' ', command == root ? [Name] : [Name, command.Name]);
        string[] messages = [.. result.Errors.Select(error => error.Message).Distinct()];
        if (command == root && result.UnmatchedTokens is [var unknown, ..] && !unknown.StartsWith('-'))
        {
            messages = [$"There is no command '{unknown}'"];
        }

        foreach (string message in messages)
        {
            string? meant = result.UnmatchedTokens
                .Where(token => message.Contains($"'{token}'", StringComparison.Ordinal))
                .Select(token => Suggestions.For(token, command))
                .FirstOrDefault(name => name is not null);
            string question = meant is null ? "" : $" Did you mean '{meant}'?";
            DiagnosticWriter.Error(
                "ZQFP0900", $"{message.TrimEnd('.')}.{question} Run '{help} --help' for the {(command == root ? "commands" : "options")}.");
        }
    }

    private static RootCommand Create()
    {
        var root = new RootCommand("Quantizes ONNX language models to FP4 weights and FP8 activations, and measures what that costs.");
        root.Subcommands.Add(QuantizeCommand.Create());
        root.Subcommands.Add(EvaluateCommand.Create());
        root.Subcommands.Add(GateCommand.Create());
        root.Subcommands.Add(InspectCommand.Create());
        root.Subcommands.Add(SweepCommand.Create());
        root.Subcommands.Add(ReportCommand.Create());
        root.Subcommands.Add(DoctorCommand.Create());
        root.Subcommands.Add(QuantizeCommand.CreatePlan());
        root.Subcommands.Add(SubmitCommand.Create());
        root.Subcommands.Add(VerifyCommand.Create());
        root.Subcommands.Add(BenchCommand.Create());
        root.Subcommands.Add(ExplainCommand.Create());
        root.Subcommands.Add(SchemaCommand.Create());
        root.Subcommands.Add(CompletionCommand.Create());
        HelpText.Extend(root, HelpText.ExitCodes);
        return root;
    }
}
