using System.Diagnostics;

namespace Zqfp.Tool.Tests;

/// <summary>The commands at the head of the manifest, run by a shell that finds a <c>kubectl</c> of the test's.</summary>
public sealed class KubernetesShellTests : IDisposable
{
    private const string Resumed = """patch job/model-merge --type=strategic --patch {"spec":{"suspend":false}}""";
    private const string Exists = "get job/model-shards";
    private const string GetState = """get job/model-shards -o jsonpath={.status.conditions[?(@.status=="True")].type}""";

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string Manifest => Path.Combine(_folder, "jobs of mine.yaml");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [UnixFact]
    public void The_merge_is_started_when_the_shards_are_done()
    {
        (int code, string[] calls, _) = Shell("echo 'SuccessCriteriaMet Complete'");
        Assert.Equal(0, code);
        Assert.Equal([Exists, $"apply -f {Manifest}", GetState, Resumed], calls);
    }

    [UnixFact]
    public void Jobs_that_are_there_are_not_applied_again()
    {
        (int code, string[] calls, _) = Shell("echo Complete", exists: ":");
        Assert.Equal(0, code);
        Assert.Equal([Exists, GetState, Resumed], calls);
    }

    [UnixFact]
    public void A_job_that_takes_longer_than_all_tries_is_waited_for()
    {
        (int code, string[] calls, _) = Shell("[ $call -lt 100 ] || echo Complete");
        Assert.Equal((0, 100, Resumed), (code, calls.Count(call => call == GetState), calls[^1]));
    }

    [UnixFact]
    public void Now_and_then_the_cluster_may_not_answer()
    {
        (int code, string[] calls, _) = Shell("[ $((call % 20)) -eq 0 ] || exit 1; [ $call -lt 80 ] || echo Complete");
        Assert.Equal((0, Resumed), (code, calls[^1]));
    }

    [UnixFact]
    public void Where_the_shards_fail_the_merge_is_not_started()
    {
        (int code, string[] calls, string error) = Shell("[ $call -lt 3 ] || echo 'FailureTarget Failed'");
        Assert.Equal((1, GetState, 3), (code, calls[^1], calls.Count(call => call == GetState)));
        Assert.Contains("job/model-shards has failed, the merge was not started", error, StringComparison.Ordinal);
        Assert.Contains("kubectl delete job/model-shards job/model-merge", error, StringComparison.Ordinal);
    }

    [UnixFact]
    public void A_job_that_is_not_there_is_not_waited_for_without_end()
    {
        (int code, string[] calls, string error) = Shell("exit 1");
        Assert.Equal((1, 30), (code, calls.Count(call => call == GetState)));
        Assert.EndsWith(
            "kubectl told nothing of job/model-shards in 30 tries, the merge was not started\n", error, StringComparison.Ordinal);
    }

    [UnixFact]
    public void A_manifest_that_is_refused_ends_it()
    {
        (int code, string[] calls, _) = Shell("echo Complete", apply: "exit 1");
        Assert.Equal((1, 2), (code, calls.Length));
    }

    [UnixFact]
    public void A_merge_that_cannot_be_started_is_an_error() => Assert.Equal(7, Shell("echo Complete", patch: "exit 7").Code);

    /// <summary>Writes the manifest and does what it says.</summary>
    /// <param name="get">What the stand-in does when it is asked, which it counts in <c>$call</c>.</param>
    /// <param name="apply">What it does with the manifest.</param>
    /// <param name="patch">What it does when the merge is resumed.</param>
    /// <param name="exists">What it does when it is asked whether the shards are there.</param>
    private (int Code, string[] Calls, string Error) Shell(string get, string apply = ":", string patch = ":", string exists = "exit 1")
    {
        ToolProcess written = ToolProcess.Run(
            "submit", "--kubernetes", "--shards", "4", "--image", "i", "--claim", "c", "-o", Manifest, "--", "model.onnx", "-o",
            "out/model.onnx", "--tokenizer", "t.json", "--calibration", "c.txt", "--calibrate-on", "float", "--work", "work");
        Assert.True(written.ExitCode == 0, written.Error);
        string log = Path.Combine(_folder, "calls");
        Program("sleep", ":");
        Program("kubectl", $"""
            echo "$*" >> '{log}'
            case $* in
              apply*) {apply};;
              '{Exists}') {exists};;
              get*) call=$(grep -c '^get.*jsonpath' '{log}'); {get};;
              patch*) {patch};;
            esac
            """);
        string command = File.ReadLines(Manifest).First(line => line.StartsWith("# sh -c ", StringComparison.Ordinal))[2..];
        var start = new ProcessStartInfo("sh", ["-c", command]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = $"{_folder}:{Environment.GetEnvironmentVariable("PATH")}";
        using Process shell = Process.Start(start)!;
        Task<string> output = shell.StandardOutput.ReadToEndAsync();
        string error = shell.StandardError.ReadToEnd();
        Assert.True(shell.WaitForExit(TimeSpan.FromMinutes(1)));
        Assert.Empty(output.Result);
        return (shell.ExitCode, File.ReadAllLines(log), error);
    }

    private void Program(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, $"#!/bin/sh\n{text}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }
}
