using System.Diagnostics;
using System.Globalization;

namespace Zqfp.Reliability.Tests;

/// <summary>Processes that are killed: what stands is whole, what is kept is right, and the next run ends as if nothing had been.</summary>
public sealed class KillTests
{
    [UnixFact]
    public void A_run_that_is_killed_at_any_instant_loses_nothing()
    {
        using var trial = new Trial();
        byte[] expected = Reference(trial, out TimeSpan whole);
        int killed = 0;
        int continued = 0;
        int completed = 0;
        int wanted = Effort.Trials(6);
        for (int i = 0; killed < wanted; i++)
        {
            var random = new Random(Effort.Seed(i));
            using (Tool tool = Tool.Start(trial.Quantize("--work", trial.Work)))
            {
                tool.KillAtAnyInstant(ref whole, random);
                ToolResult result = tool.Finish();
                killed += result.ExitCode == 137 ? 1 : 0;
                completed += result.ExitCode == 0 ? 1 : 0;
                Assert.True(result.ExitCode is 0 or 137, $"Trial {i}: {result.ExitCode} {result.Error}");
                continued += result.Error.Contains("are kept in", StringComparison.Ordinal) ? 1 : 0;
            }

            // An output that stands is the right one; between its removal and its return there is none.
            Assert.True(trial.OutputBytes is not { } bytes || bytes.AsSpan().SequenceEqual(expected), $"Trial {i}: another output.");
            switch (i % 8)
            {
                case 3:
                    ToolResult last = Tool.Run(trial.Quantize("--work", trial.Work));
                    Assert.True(last.ExitCode == 0, $"Trial {i}: {last.Error}");
                    Assert.Equal(expected, trial.OutputBytes);
                    Assert.Empty(trial.Strays());
                    Assert.All(Directory.GetFiles(trial.Work), file => Assert.EndsWith(".layer", file, StringComparison.Ordinal));
                    break;
                case 5:
                    Directory.Delete(trial.Work, recursive: true);
                    break;
                case 7:
                    File.Delete(trial.Output);
                    break;
            }
        }

        Effort.Report(
            $"kills at random instants: {killed} killed, {continued} continued from kept layers, {completed} too late; nothing lost");
    }

    [UnixFact]
    public void A_gate_that_is_killed_at_any_instant_loses_nothing()
    {
        using var trial = new Trial();
        _ = Reference(trial, out _);
        var clock = Stopwatch.StartNew();
        string expected = Verdict(Tool.Run(trial.Gate()));
        TimeSpan whole = clock.Elapsed;
        int killed = 0;
        int wanted = Effort.Trials(2);
        for (int i = 0; killed < wanted; i++)
        {
            var random = new Random(Effort.Seed(i));
            using (Tool tool = Tool.Start(trial.Gate("--cache", trial.Cache)))
            {
                tool.KillAtAnyInstant(ref whole, random);
                killed += tool.Finish().ExitCode == 137 ? 1 : 0;
            }

            if (i % 8 == 7)
            {
                Assert.Equal(expected, Verdict(Tool.Run(trial.Gate("--cache", trial.Cache))));
                Directory.Delete(trial.Cache, recursive: true);
            }
        }

        Assert.Equal(expected, Verdict(Tool.Run(trial.Gate("--cache", trial.Cache))));
        Effort.Report($"kills of a gate with a cache: {killed}; nothing lost");
    }

    /// <summary>strace ends the process when it is about to make the n-th call of a kind, for every n that occurs.</summary>
    [UnixFact]
    public void A_run_that_is_killed_at_any_rename_or_removal_loses_nothing()
    {
        Assert.SkipUnless(HasTracer(), "strace is not on this machine.");
        using var trial = new Trial();
        byte[] expected = Reference(trial, out _);
        int killed = 0;
        int passes = Math.Max(1, Effort.Trials(1) / 25);
        (string Name, int Step)[] calls = [("rename", 5), ("unlink", 7), ("unlinkat", 1), ("fsync", 5)];
        foreach ((string call, int step, int pass) in Enumerable.Range(0, passes)
            .SelectMany(pass => calls.Select(call => (call.Name, call.Step, pass))))
        {
            int stride = Effort.Trials(1) > 1 ? 1 : step;
            for (int n = 1; ; n += stride)
            {
                // Every layer anew, so that each occurrence of the call is met; or continuing with what stands.
                if ((pass % 2 == 1 || n % 3 == 0) && Directory.Exists(trial.Work))
                {
                    Directory.Delete(trial.Work, recursive: true);
                }

                string inject = string.Create(CultureInfo.InvariantCulture, $"inject={call}:signal=KILL:when={n}");
                using Tool tool = Tool.Start([],
                    ["strace", "-f", "-q", "-o", "/dev/null", "-e", $"trace={call}", "-e", inject], trial.Quantize("--work", trial.Work));
                ToolResult result = tool.Finish();
                Assert.True(trial.OutputBytes is not { } bytes || bytes.AsSpan().SequenceEqual(expected), $"{call} {n}: another output.");
                if (result.ExitCode == 0)
                {
                    break;
                }

                killed++;
            }

            ToolResult last = Tool.Run(trial.Quantize("--work", trial.Work));
            Assert.True(last.ExitCode == 0, last.Error);
            Assert.Equal(expected, trial.OutputBytes);
            Assert.Empty(trial.Strays());
        }

        Effort.Report($"kills at system calls that rename, remove or put on the disk: {killed}; nothing lost");
    }

    [UnixFact]
    public void An_interrupted_run_says_from_where_it_continues()
    {
        using var trial = new Trial();
        ToolResult first;
        using (Tool tool = Tool.Start(trial.Quantize("--work", trial.Work)))
        {
            while (!Directory.Exists(trial.Work) || Directory.GetFiles(trial.Work, "*.layer").Length < 3)
            {
                Thread.Sleep(5);
            }

            tool.Kill();
            first = tool.Finish();
        }

        Assert.Equal(137, first.ExitCode);
        int kept = Directory.GetFiles(trial.Work, "*.layer").Length;
        ToolResult second = Tool.Run(trial.Quantize("--work", trial.Work));
        Assert.True(second.ExitCode == 0, second.Error);
        Assert.Contains($"{kept} of 14 layers are kept in '{trial.Work}' from an earlier run. Continuing with '", second.Error,
            StringComparison.Ordinal);
    }

    private static byte[] Reference(Trial trial, out TimeSpan time)
    {
        var clock = Stopwatch.StartNew();
        ToolResult result = Tool.Run(trial.Quantize());
        time = clock.Elapsed;
        Assert.True(result.ExitCode == 0, result.Error);
        return trial.OutputBytes!;
    }

    private static string Verdict(ToolResult result)
    {
        Assert.True(result.ExitCode == 0, result.Error);
        return result.Output;
    }

    private static bool HasTracer()
    {
        try
        {
            using Process tracer = Process.Start(new ProcessStartInfo("strace", ["-q", "-o", "/dev/null", "true"]))!;
            tracer.WaitForExit();
            return tracer.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
