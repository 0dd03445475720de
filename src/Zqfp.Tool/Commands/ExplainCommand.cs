using System.CommandLine;

namespace Zqfp.Tool;

/// <summary><c>dotnet zqfp explain</c>: what an error or a warning means and what to do about it, without a network.</summary>
internal static class ExplainCommand
{
    private const string CodePrefix = "ZQFP";

    public static Command Create()
    {
        var code = new Argument<string?>("CODE")
        {
            Description = "The code of an error or a warning, such as ZQFP3001 or 3001",
            HelpName = "CODE",
            Arity = ArgumentArity.ZeroOrOne,
        };
        code.CompletionSources.Add([.. DiagnosticPages.Codes]);
        code.Validators.Add(result =>
        {
            string asked = result.Tokens.Count > 0 ? result.Tokens[0].Value : DiagnosticPages.Codes[0];
            if (!DiagnosticPages.Codes.Contains(Complete(asked)))
            {
                string meant = Nearest(Complete(asked));
                result.AddError($"There is no code '{asked}'. The nearest is {meant}: {DiagnosticPages.TitleOf(meant)}. "
                    + $"'{CommandLine.Name} explain' lists them all.");
            }
        });
        var command = new Command("explain", "Explain an error or a warning by its code; without one, list them all") { code };
        HelpText.Extend(command, HelpText.Examples("dotnet zqfp explain ZQFP3001", "dotnet zqfp explain"));
        command.SetAction(result =>
        {
            Console.Out.Write(result.GetValue(code) is { } asked ? DiagnosticPages.Read(Complete(asked)) : List());
            return ExitCodes.Success;
        });
        return command;
    }

    /// <summary>The code in full: people type the number alone, or small letters.</summary>
    private static string Complete(string asked)
    {
        string upper = asked.ToUpperInvariant();
        return upper.StartsWith(CodePrefix, StringComparison.Ordinal) ? upper : CodePrefix + upper;
    }

    /// <summary>Of codes equally near the one that begins alike: it is of the same class.</summary>
    private static string Nearest(string code) => DiagnosticPages.Codes
        .OrderBy(known => Spelling.Distance(code, known))
        .ThenByDescending(known => known.Zip(code).TakeWhile(pair => pair.First == pair.Second).Count())
        .First();

    private static string List()
    {
        var table = new TextTable(["code", "what it means"]);
        foreach (string code in DiagnosticPages.Codes)
        {
            table.Add(code, DiagnosticPages.TitleOf(code));
        }

        return table.ToString();
    }
}
