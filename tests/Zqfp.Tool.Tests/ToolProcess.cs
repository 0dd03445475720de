using System.Diagnostics;

namespace Zqfp.Tool.Tests;

/// <summary>The tool as a user starts it: a process of its own.</summary>
internal sealed record ToolProcess(int ExitCode, string Output, string Error)
{
    private static readonly string Assembly = Path.GetFullPath(Path.Combine(
        AppContext.BaseDirectory, "..", "..", "Zqfp.Tool", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)),
        "dotnet-zqfp.dll"));

    /// <summary>How a shell starts it.</summary>
    public static string ShellCommand => $"'{Host}' '{Assembly}'";

    private static string Host => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    /// <summary>Lines of standard error that are errors.</summary>
    public string[] Errors => [.. Error.Split('\n').Where(line => line.Contains(" : error ", StringComparison.Ordinal))];

    public static Process Start(params string[] arguments) => Start([], arguments);

    private static Process Start(Dictionary<string, string> environment, string[] arguments)
    {
        var start = new ProcessStartInfo(Host, [Assembly, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Repository.Root,
        };
        start.Environment.Remove("ZQFP_TRACE");
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    public static ToolProcess Run(params string[] arguments) => Run([], arguments);

    /// <summary>With environment variables beside those of this process.</summary>
    public static ToolProcess Run(Dictionary<string, string> environment, params string[] arguments)
    {
        using Process process = Start(environment, arguments);
        return Finish(process);
    }

    public static ToolProcess Finish(Process process)
    {
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new ToolProcess(process.ExitCode, output, error.Result);
    }
}
