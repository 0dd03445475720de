using System.Text.RegularExpressions;

namespace Zqfp.Reliability.Tests;

/// <summary>Two processes on one output or one work folder: one at a time, whatever their temporary folders.</summary>
public sealed partial class TwoWriterTests
{
    [Fact]
    public void Two_processes_that_write_one_output_leave_the_model_of_one_of_them()
    {
        using var trial = new Trial();
        string[] first = trial.Quantize("--rank", "0");
        string[] second = trial.Quantize("--rank", "4");
        byte[][] right = [.. ((string[][])[first, second]).Select(command =>
        {
            ToolResult result = Tool.Run(command);
            Assert.True(result.ExitCode == 0, result.Error);
            return trial.OutputBytes!;
        })];
        int waited = 0;
        int trials = Effort.Trials(3);
        for (int i = 0; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            bool sameTemporary = random.Next(3) == 0;
            string[] work = random.Next(2) == 0 ? ["--work", trial.Work] : [];
            if (random.Next(2) == 0 && Directory.Exists(trial.OutputFolder))
            {
                Directory.Delete(trial.OutputFolder, recursive: true);
            }

            using Tool one = Tool.Start(Temporary(trial, "one"), [], [.. first, .. work]);
            Thread.Sleep(random.Next(400));
            using Tool two = Tool.Start(Temporary(trial, sameTemporary ? "one" : "two"), [], [.. second, .. work]);
            ToolResult[] results = [one.Finish(), two.Finish()];
            foreach (ToolResult result in results)
            {
                Assert.True(result.ExitCode == 0, $"Trial {i}: {result.Error}");
                waited += Waiting().IsMatch(result.Error) ? 1 : 0;
            }

            Assert.True(trial.OutputIsOneOf(right), $"Trial {i}: a mixed model.");
            Assert.Empty(trial.Strays());
        }

        Effort.Report($"two processes on one output: {trials} trials, {waited} processes waited; 0 wrong models, nothing left behind");
    }

    [Fact]
    public void Two_processes_that_share_a_work_folder_both_give_their_models()
    {
        using var trial = new Trial();
        string other = Path.Combine(trial.Folder, "other", "m.onnx");
        Assert.Equal(0, Tool.Run(trial.Quantize()).ExitCode);
        byte[] expected = trial.OutputBytes!;
        int trials = Effort.Trials(1);
        for (int i = 0; i < trials; i++)
        {
            var random = new Random(Effort.Seed(i));
            using Tool one = Tool.Start(Temporary(trial, "one"), [], trial.Quantize("--work", trial.Work));
            Thread.Sleep(random.Next(400));
            string[] command = trial.Quantize("--work", trial.Work);
            command[3] = other;
            using Tool two = Tool.Start(Temporary(trial, "two"), [], command);
            foreach (ToolResult result in (ToolResult[])[one.Finish(), two.Finish()])
            {
                Assert.True(result.ExitCode == 0, result.Error);
            }

            Assert.Equal(expected, trial.OutputBytes);
            Assert.Equal(File.ReadAllBytes(trial.Output + ".data"), File.ReadAllBytes(other + ".data"));
            Assert.All(Directory.GetFiles(trial.Work), file => Assert.EndsWith(".layer", file, StringComparison.Ordinal));
            Directory.Delete(trial.Work, recursive: true);
        }

        Effort.Report($"two processes on one work folder: {trials} trials; 0 wrong models");
    }

    [UnixFact]
    public void A_process_that_waits_names_the_other_and_goes_on_when_that_is_killed()
    {
        using var trial = new Trial();
        using Tool one = Tool.Start(Temporary(trial, "one"), [], trial.Quantize());
        while (!File.Exists(trial.Output + ".lock.holder"))
        {
            Thread.Sleep(5);
        }

        using Tool two = Tool.Start(Temporary(trial, "two"), [], trial.Quantize());
        Thread.Sleep(300);
        one.Kill();
        ToolResult result = two.Finish();
        Assert.True(result.ExitCode == 0, result.Error);
        string named = $"process {one.Id} on ";
        Assert.True(!Waiting().IsMatch(result.Error) || result.Error.Contains(named, StringComparison.Ordinal), result.Error);
        Assert.Empty(trial.Strays());
    }

    private static Dictionary<string, string> Temporary(Trial trial, string name)
    {
        string folder = Path.Combine(trial.Folder, "tmp-" + name);
        Directory.CreateDirectory(folder);
        return new Dictionary<string, string> { ["TMPDIR"] = folder, ["TEMP"] = folder, ["TMP"] = folder };
    }

    [GeneratedRegex("Waiting for another (process that writes|quantization)")]
    private static partial Regex Waiting();
}
