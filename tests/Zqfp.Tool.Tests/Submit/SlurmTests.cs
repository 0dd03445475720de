namespace Zqfp.Tool.Tests;

public sealed class SlurmTests
{
    private const int Requeued = 2;

    [SlurmFact]
    public void An_array_of_which_a_task_is_killed_and_requeued_gives_the_bytes_of_one_process()
    {
        string folder = Directory.CreateTempSubdirectory("zqfp-slurm-").FullName;
        try
        {
            string[] command =
            [
                SampleModel.Model, "--tokenizer", SampleModel.Tokenizer, "--calibration", SampleModel.Calibration, "--window", "128",
                "--windows", "4", "--calibrate-on", "float", "--threads", "1",
            ];
            string alone = Path.Combine(folder, "alone", "model.onnx");
            Assert.Equal(0, ToolProcess.Run(["quantize", .. command, "-o", alone]).ExitCode);

            string script = Path.Combine(folder, "submit.sh");
            string work = Path.Combine(folder, "work");
            string merged = Path.Combine(folder, "merged", "model.onnx");
            string[] submit = ["submit", "--slurm", "--shards", "4", "--tool", ToolProcess.ShellCommand, "-o", script];
            ToolProcess written = ToolProcess.Run([.. submit, "--", .. command, "-o", merged, "--work", work]);
            Assert.True(written.ExitCode == 0, written.Error);

            using var cluster = new SlurmCluster(folder);
            string said = cluster.Run("sh", script);
            Assert.Matches(@"^array \d+, merge \d+\n$", said);
            string array = said.Split(' ', ',')[1];
            cluster.Until(() =>
            {
                string state = State(cluster, array);
                Assert.True(state is "PD" or "CF" or "R", $"The task ended before it was requeued: '{state}'. {Logs(folder)}");
                return state == "R" && Directory.Exists(work) && Directory.GetFiles(work, "*.layer").Length > 0;
            });
            Assert.Empty(cluster.Run("scontrol", "requeue", $"{array}_{Requeued}"));
            cluster.Until(() =>
                cluster.Run("scontrol", "show", "job", $"{array}_{Requeued}").Contains("Restarts=1", StringComparison.Ordinal));
            cluster.Until(() => cluster.Run("squeue", "--noheader").Length == 0, TimeSpan.FromMinutes(8));

            Assert.True(File.Exists(merged), Logs(folder));
            Assert.Equal(File.ReadAllBytes(alone), File.ReadAllBytes(merged));
            Assert.Equal(File.ReadAllBytes(alone + ".data"), File.ReadAllBytes(merged + ".data"));
        }
        finally
        {
            SlurmCluster.Delete(folder);
        }
    }

    private static string State(SlurmCluster cluster, string array) =>
        cluster.Run("squeue", "--noheader", "--format=%t", $"--jobs={array}_{Requeued}").Trim();

    private static string Logs(string folder) =>
        string.Join('\n', Directory.GetFiles(folder, "slurm-*.out").Select(file => $"{Path.GetFileName(file)}: {File.ReadAllText(file)}"));
}
