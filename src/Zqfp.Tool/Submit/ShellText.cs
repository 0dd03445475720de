namespace Zqfp.Tool;

/// <summary>Writes arguments as a POSIX shell reads them.</summary>
internal static class ShellText
{
    private const string Plain = "-_=./:,+%@";

    /// <summary>One argument, quoted where it needs to be.</summary>
    public static string Quote(string argument) =>
        argument.Length > 0 && argument.All(letter => char.IsAsciiLetterOrDigit(letter) || Plain.Contains(letter))
            ? argument
            : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
