using System.CommandLine;
using System.CommandLine.Parsing;

namespace Zqfp.Tool;

/// <summary>Where a command also writes its result as JSON: for <c>report</c>, while people read the line on standard output.</summary>
internal static class ResultOption
{
    public static Option<string?> Create()
    {
        var option = new Option<string?>("--result") { Description = "Also write the result to this file, as JSON: 'report' reads it", HelpName = "FILE" };
        option.Validators.Add(result =>
        {
            string file = result.Tokens.Count > 0 ? result.Tokens[^1].Value : string.Empty;
            if (file.Length == 0 || Directory.Exists(file))
            {
                result.AddError($"--result names the file to write, such as result.json; '{file}' is none.");
            }
            else if (Others(result).FirstOrDefault(other => IsSame(other, file) || IsSame(other + ".data", file)) is { } overwritten)
            {
                result.AddError($"--result would overwrite '{overwritten}', which the command names too. Choose another file.");
            }
        });
        return option;
    }

    /// <summary>Every other value of the command line: whichever of them are files, none is to be lost.</summary>
    private static IEnumerable<string> Others(OptionResult result) =>
        ((CommandResult)result.Parent!).Children.Where(child => child != result).SelectMany(child => child.Tokens).Select(token => token.Value).Where(value => value.Length > 0);

    /// <summary>Links are not followed: writing replaces a link, not what it leads to.</summary>
    private static bool IsSame(string one, string other) => string.Equals(Path.GetFullPath(one), Path.GetFullPath(other), StringComparison.OrdinalIgnoreCase);
}
