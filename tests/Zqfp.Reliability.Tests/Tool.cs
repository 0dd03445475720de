using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Zqfp.Reliability.Tests;

/// <summary>The tool as a process of its own.</summary>
internal sealed class Tool : IDisposable
{
    private static readonly string Assembly = Path.GetFullPath(Path.Combine(
        AppContext.BaseDirectory, "..", "..", "Zqfp.Tool", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)),
        "dotnet-zqfp.dll"));

    private readonly string _temporary;
    private readonly Process _process;
    private readonly Task<string> _error;
    private readonly Task<string> _output;

    private Tool(Process process, string temporary)
    {
        _temporary = temporary;
        _process = process;
        _error = process.StandardError.ReadToEndAsync();
        _output = process.StandardOutput.ReadToEndAsync();
    }

    public int Id => _process.Id;

    public bool HasEnded => _process.HasExited;

    /// <summary>What it has used of processors; nothing more once it has ended.</summary>
    public TimeSpan ProcessorTime
    {
        get
        {
            try
            {
                return _process.TotalProcessorTime;
            }
            catch (Exception e) when (e is InvalidOperationException or Win32Exception)
            {
                return TimeSpan.Zero;
            }
        }
    }

    /// <summary>The host and the tool, for a shell.</summary>
    public static string[] Program => [Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", Assembly];

    /// <summary>Starts the tool.</summary>
    public static Tool Start(params IEnumerable<string> arguments) => Start([], [], arguments);

    /// <summary>Starts the tool with environment variables, and behind another program that starts it.</summary>
    public static Tool Start(Dictionary<string, string> environment, string[] before, IEnumerable<string> arguments)
    {
        string[] all = [.. before, .. Program, .. arguments];
        var start = new ProcessStartInfo(all[0], all[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Repository.Root,
        };

        // Tests run side by side, and one user's quantizations one after the other.
        string temporary = Directory.CreateTempSubdirectory("zqfp-tmp-").FullName;
        start.Environment["TMPDIR"] = temporary;
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return new Tool(Process.Start(start)!, temporary);
    }

    public static ToolResult Run(params IEnumerable<string> arguments)
    {
        using Tool tool = Start(arguments);
        return tool.Finish();
    }

    public ToolResult Finish()
    {
        Assert.True(_process.WaitForExit(TimeSpan.FromMinutes(5)), "The tool hangs.");
        return new ToolResult(_process.ExitCode, _output.Result, _error.Result);
    }

    /// <summary>Ends it as the system ends a process: nothing of it runs any more.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>Kills it where it has not ended by then; the machine may be so fast now that it has.</summary>
    /// <param name="whole">How long a whole run takes, which is lowered to what this one took.</param>
    /// <param name="random">Chooses an instant from soon after the beginning to a little beyond the end.</param>
    public void KillAtAnyInstant(ref TimeSpan whole, Random random)
    {
        var clock = Stopwatch.StartNew();
        if (!_process.WaitForExit(whole * (0.2 + random.NextDouble())))
        {
            Kill();
        }
        else if (clock.Elapsed < whole)
        {
            whole = clock.Elapsed;
        }
    }

    /// <summary>Sends it a signal.</summary>
    public void Signal(int number)
    {
        string[] arguments = [string.Create(CultureInfo.InvariantCulture, $"-{number}"), Id.ToString(CultureInfo.InvariantCulture)];
        using Process kill = Process.Start(new ProcessStartInfo("kill", arguments) { RedirectStandardError = true })!;
        kill.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
        Directory.Delete(_temporary, recursive: true);
    }
}

/// <summary>What a run of the tool ended with.</summary>
internal sealed record ToolResult(int ExitCode, string Output, string Error)
{
    /// <summary>Whether it ended with a code of its own: neither a defect nor a death.</summary>
    public bool IsCoded => ExitCode is 0 or (> 1 and < 70) or 130 && !Error.Contains("error ZQFP0909", StringComparison.Ordinal);
}
