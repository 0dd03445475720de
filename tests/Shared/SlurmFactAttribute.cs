using System.Diagnostics;

namespace Zqfp.Tests;

/// <summary>A test that starts a Slurm of its own; skips where Slurm and MUNGE are not installed, or do not run.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SlurmFactAttribute : FactAttribute
{
    // Programs of users do not even tell their version without a configuration.
    private static readonly string[] Daemons = ["slurmctld", "slurmd", "munged"];
    private static readonly string[] Programs = [.. Daemons, "sbatch", "scancel", "scontrol", "sinfo", "squeue"];

    // The same for all tests: programs are started once.
    private static readonly Lazy<string?> Problem = new(() =>
        !OperatingSystem.IsLinux() ? "The daemons of Slurm run on Linux."
            : Programs.FirstOrDefault(program => Find(program) is null) is { } missing
            ? $"Slurm is not on this machine: no {missing} (Debian: slurm-wlm, munge)."
            : Daemons.FirstOrDefault(program => !Runs(program)) is { } broken ? $"{broken} is on this machine and does not run." : null);

    public SlurmFactAttribute() => Skip = Problem.Value;

    /// <summary>The path of a program, also of those that only administrators have on theirs; or null.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Concat(["/usr/sbin", "/usr/local/sbin"])
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);

    /// <summary>Whether a program tells its version: it finds its libraries.</summary>
    private static bool Runs(string program)
    {
        using var process = Process.Start(new ProcessStartInfo(Find(program)!, ["-V"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        if (process.WaitForExit(TimeSpan.FromSeconds(30)))
        {
            return process.ExitCode == 0;
        }

        process.Kill(entireProcessTree: true);
        return false;
    }
}
