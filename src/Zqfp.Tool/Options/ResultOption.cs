using System.CommandLine;

namespace Zqfp.Tool.Options;

/// <summary>Where a command also writes its result as JSON: for <c>report</c>, while people read the line on standard output.</summary>
internal static class ResultOption
{
    public static Option<string?> Create() => new("--result") { Description = "Also write the result to this file, as JSON: 'report' reads it", HelpName = "FILE" };
}
