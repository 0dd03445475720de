using System.Diagnostics;

namespace Zqfp.Packages.Tests;

/// <summary>What <c>dotnet</c> said and how it ended.</summary>
internal sealed record DotNetResult(int ExitCode, string Output)
{
    /// <summary>Each error once: the build repeats them in its summary.</summary>
    public string[] Errors =>
        [.. Output.Split('\n').Where(line => line.Contains(": error ", StringComparison.Ordinal)).Select(line => line.Trim()).Distinct()];

    /// <summary>The summary lines of models.</summary>
    public string[] Summaries => [.. Output.Split('\n').Where(line => line.Contains("bits per weight", StringComparison.Ordinal))];

    public DotNetResult Succeeded()
    {
        Assert.True(ExitCode == 0, Output);
        return this;
    }
}

/// <summary>Runs <c>dotnet</c> as on a machine that has nothing but the SDK and one folder of packages.</summary>
internal static class DotNet
{
    /// <param name="folder">Where it runs.</param>
    /// <param name="packagesFolder">Where packages are restored to; null for the machine's own folder.</param>
    /// <param name="arguments">What it is told.</param>
    public static DotNetResult Run(string folder, string? packagesFolder, params string[] arguments)
    {
        using Process process = Start(Host, folder, packagesFolder, arguments);
        return Finish(process);
    }

    /// <summary>
    /// Runs <c>dotnet</c> where there is no network: on Linux in a network namespace that has none, where the system lets a user make one.
    /// </summary>
    /// <param name="folder">Where it runs.</param>
    /// <param name="packagesFolder">Where packages are restored to.</param>
    /// <param name="arguments">What it is told.</param>
    public static DotNetResult RunOffline(string folder, string packagesFolder, params string[] arguments)
    {
        string[] isolated = CanIsolate.Value ? ["unshare", "--user", "--map-root-user", "--net", Host] : [Host];
        using Process process = Start(isolated[0], folder, packagesFolder, [.. isolated[1..], .. arguments], NoProxy);
        return Finish(process);
    }

    /// <summary>Interrupts <c>dotnet</c> and all it started, as Ctrl+C in a terminal does.</summary>
    /// <param name="folder">Where it runs.</param>
    /// <param name="packagesFolder">Where packages are restored to.</param>
    /// <param name="until">When to interrupt.</param>
    /// <param name="arguments">What it is told.</param>
    /// <returns>How long it took to end.</returns>
    public static TimeSpan Interrupt(string folder, string? packagesFolder, Func<bool> until, params string[] arguments)
    {
        // A process group of its own; and what a background job inherits, that Ctrl+C is ignored, is set right.
        using Process process = Start("setsid", folder, packagesFolder,
            ["--wait", "env", "--default-signal=INT", "sh", "-c", "echo $$ > group.pid; exec \"$@\"", "sh", Host, .. arguments]);
        Task<DotNetResult> result = Task.Run(() => Finish(process));
        while (!until())
        {
            Assert.False(result.IsCompleted, result.IsCompleted ? result.Result.Output : "");
            Thread.Sleep(50);
        }

        string group = File.ReadAllText(Path.Combine(folder, "group.pid")).Trim();
        long interrupted = Stopwatch.GetTimestamp();
        using Process kill = Process.Start("kill", ["-INT", "--", "-" + group]);
        kill.WaitForExit();
        Assert.NotEqual(0, result.Result.ExitCode);
        return Stopwatch.GetElapsedTime(interrupted);
    }

    /// <summary>Nobody listens there.</summary>
    private const string NoProxy = "http://127.0.0.1:9";

    private static readonly Lazy<bool> CanIsolate = new(() =>
    {
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        using Process trial = Process.Start(
            new ProcessStartInfo("unshare", ["--user", "--map-root-user", "--net", "true"]) { RedirectStandardError = true })!;
        trial.WaitForExit();
        return trial.ExitCode == 0;
    });

    private static string Host => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    private static DotNetResult Finish(Process process)
    {
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new DotNetResult(process.ExitCode, output + error.Result);
    }

    private static Process Start(string program, string folder, string? packagesFolder, string[] arguments, string? proxy = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // The test host is started by MSBuild, and what it inherits from there must not reach the builds under test.
        foreach (string name in start.Environment.Keys.Where(IsOfTheTestHost).ToArray())
        {
            start.Environment.Remove(name);
        }

        if (packagesFolder is not null)
        {
            start.Environment["NUGET_PACKAGES"] = packagesFolder;
            start.Environment["DOTNET_CLI_HOME"] = packagesFolder;
        }

        if (proxy is not null)
        {
            start.Environment["http_proxy"] = start.Environment["https_proxy"] = start.Environment["all_proxy"] = proxy;
        }

        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["MSBUILDTERMINALLOGGER"] = "off";
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["DOTNET_SKIP_FIRST_TIME_EXPERIENCE"] = "1";
        return Process.Start(start)!;
    }

    private static bool IsOfTheTestHost(string name) =>
        name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase) || name.StartsWith("VSTEST", StringComparison.OrdinalIgnoreCase)
            || name is "CI" or "Configuration" or "Platform";
}
