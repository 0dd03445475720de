namespace Zqfp.Tests;

/// <summary>A test that starts a Slurm of its own; skips where Slurm and MUNGE are not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SlurmFactAttribute : FactAttribute
{
    private static readonly string[] Programs = ["slurmctld", "slurmd", "munged", "sbatch", "scontrol", "squeue"];

    public SlurmFactAttribute() =>
        Skip = Programs.FirstOrDefault(program => Find(program) is null) is { } missing
            ? $"Slurm is not on this machine: no {missing} (Debian: slurm-wlm, munge)."
            : null;

    /// <summary>The path of a program, also of those that only administrators have on theirs; or null.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Concat(["/usr/sbin", "/usr/local/sbin"])
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);
}
