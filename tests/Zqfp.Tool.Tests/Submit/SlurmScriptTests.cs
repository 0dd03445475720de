using System.Diagnostics;

namespace Zqfp.Tool.Tests;

/// <summary>The script's ways through Slurm, with a tool of the test's, which does at once what it is told.</summary>
public sealed class SlurmScriptTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-slurm-").FullName;

    private string Script => Path.Combine(_folder, "submit.sh");

    private string Merged => Path.Combine(_folder, "merged");

    public void Dispose() => SlurmCluster.Delete(_folder);

    [SlurmFact]
    public void The_merge_runs_after_all_tasks_have_succeeded_and_never_otherwise()
    {
        Write();
        using var cluster = new SlurmCluster(_folder);

        // A task that fails.
        Order(2, "exit 14");
        string merge = Submit(cluster, out _);
        NothingLeft(cluster);
        Assert.Equal(["0", "1", "3"], Done());
        Assert.Contains("Reason=DependencyNeverSatisfied", cluster.Run("scontrol", "show", "job", merge), StringComparison.Ordinal);

        // One that is killed from outside, and not requeued.
        Order(2, "sleep 600");
        Submit(cluster, out string array);
        Running(cluster, $"{array}_2");
        cluster.Run("scancel", "--signal=KILL", "--full", $"{array}_2");
        NothingLeft(cluster);

        // An array that is cancelled.
        Submit(cluster, out array);
        Running(cluster, $"{array}_2");
        cluster.Run("scancel", array);
        NothingLeft(cluster);
        Assert.False(File.Exists(Merged));

        // The script is run again.
        Order(2, ":");
        Submit(cluster, out _);
        cluster.Until(() => File.Exists(Merged));
        Assert.Equal(["0", "1", "2", "3"], Done());
        NothingLeft(cluster);
    }

    [UnixFact]
    public void Where_the_array_is_refused_no_merge_is_submitted()
    {
        (int code, string output, string[] calls) = Alone("exit 3");
        Assert.Equal((3, "", 1), (code, output, calls.Length));
    }

    [UnixFact]
    public void Where_the_merge_is_refused_the_array_is_named()
    {
        (int code, string output, string[] calls) = Alone("case $* in *--dependency*) exit 3;; esac; echo '17;elsewhere'");
        Assert.Equal((1, "array 17 was submitted, its merge was not; to end the array: scancel 17\n", 2), (code, output, calls.Length));
        Assert.Contains("--dependency=afterok:17 ", calls[1], StringComparison.Ordinal);
    }

    private void Write()
    {
        string tool = Path.Combine(_folder, "tool");
        File.WriteAllText(tool, $"""
            case "$*" in *--merge*) touch '{Merged}'; exit;; esac
            . "{_folder}/order-$SLURM_ARRAY_TASK_ID"
            touch "{_folder}/done-$SLURM_ARRAY_TASK_ID"

            """);
        Enumerable.Range(0, 4).ToList().ForEach(task => Order(task, ":"));
        ToolProcess written = ToolProcess.Run(
            "submit", "--slurm", "--shards", "4", "--tool", $"sh '{tool}'", "-o", Script, "--", "model.onnx", "-o", "out/model.onnx",
            "--tokenizer", "t.json", "--calibration", "c.txt", "--calibrate-on", "float", "--work", "work", "--threads", "1");
        Assert.True(written.ExitCode == 0, written.Error);
    }

    private void Order(int task, string command) => File.WriteAllText(Path.Combine(_folder, $"order-{task}"), command + "\n");

    private string[] Done() => [.. Directory.GetFiles(_folder, "done-*").Select(file => file[^1..]).Order(StringComparer.Ordinal)];

    private string Submit(SlurmCluster cluster, out string array)
    {
        string[] said = cluster.Run("sh", Script).Split([' ', ',', '\n'], StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(("array", "merge"), (said[0], said[2]));
        array = said[1];
        return said[3];
    }

    private static void Running(SlurmCluster cluster, string task) =>
        cluster.Until(() => cluster.Run("squeue", "--noheader", "--format=%t", $"--jobs={task}").Trim() == "R");

    private static void NothingLeft(SlurmCluster cluster) => cluster.Until(() => cluster.Run("squeue", "--noheader").Length == 0);

    /// <summary>Runs the script with an <c>sbatch</c> that is none.</summary>
    private (int Code, string Output, string[] Calls) Alone(string sbatch)
    {
        Write();
        string log = Path.Combine(_folder, "calls");
        string program = Path.Combine(_folder, "sbatch");
        File.WriteAllText(program, $"#!/bin/sh\necho \"$*\" >> '{log}'\ncat > /dev/null\n{sbatch}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        var start = new ProcessStartInfo("sh", [Script]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = $"{_folder}:{Environment.GetEnvironmentVariable("PATH")}";
        using Process shell = Process.Start(start)!;
        Task<string> output = shell.StandardOutput.ReadToEndAsync();
        string error = shell.StandardError.ReadToEnd();
        shell.WaitForExit();
        return (shell.ExitCode, output.Result + error, File.ReadAllLines(log));
    }
}
