using System.CommandLine;
using System.CommandLine.Parsing;

namespace Zqfp.Tool;

/// <summary>
/// The checks of <c>--result</c>: it names a file, none that the command reads or writes otherwise, and one that can be written; before the
/// work of which it holds the result.
/// </summary>
internal static class ResultFile
{
    public static void Protect(Option option) => option.Validators.Add(result =>
    {
        string file = result.Tokens.Count > 0 ? result.Tokens[^1].Value : string.Empty;
        if (Directory.Exists(file))
        {
            result.AddError($"--result names the file to write, such as result.json; '{file}' is none.");
        }
        else if (file.Length > 0
            && Others(result).FirstOrDefault(other => IsSame(other, file) || IsSame(other + ".data", file)) is { } overwritten)
        {
            result.AddError($"--result would overwrite '{overwritten}', which the command names too. Choose another file.");
        }
    });

    /// <exception cref="ZqfpException">ZQFP0002: the file cannot be written.</exception>
    public static void RequireWritable(string? file)
    {
        if (file is not null && WritablePlace.ProblemOfFile(file) is { } problem)
        {
            throw new ZqfpException("ZQFP0002", $"The file of --result cannot be written: {problem} Choose another.", file);
        }
    }

    /// <summary>Every other value of the command line: whichever of them are files, none is to be lost.</summary>
    private static IEnumerable<string> Others(OptionResult result) => ((CommandResult)result.Parent!).Children
        .Where(child => child != result)
        .SelectMany(child => child.Tokens)
        .Select(token => token.Value)
        .Where(value => value.Length > 0);

    /// <summary>Links are not followed: writing replaces a link, not what it leads to.</summary>
    private static bool IsSame(string one, string other) => string.Equals(
        Path.GetFullPath(one), Path.GetFullPath(other), StringComparison.OrdinalIgnoreCase);
}
