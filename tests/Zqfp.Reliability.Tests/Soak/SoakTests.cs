using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Zqfp.Evaluation;
using Zqfp.Quantization;
using Zqfp.Tokenizers;
using Zqfp.Tool;

namespace Zqfp.Reliability.Tests;

/// <summary>
/// Much of everything, for as many minutes as <c>ZQFP_SOAK</c> has, a few seconds without: every end has a code, nothing piles up on the
/// disk, in memory or among the open files.
/// </summary>
[Collection(Alone.Name)]
public sealed partial class SoakTests
{
    private const long MostBytes = 1L << 30;

    /// <summary>Samples before which a process still warms up.</summary>
    private const int Warm = 8;

    /// <summary>Processor time of a command; beside other work ten times as much may go by.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    [LinuxFact]
    public void Random_commands_end_with_a_code_and_leave_nothing_behind()
    {
        using var folder = new SoakFolder();
        var commands = new RandomCommands(folder);
        Dictionary<string, List<ProcessSample>> samples = [];
        SortedDictionary<int, int> codes = [];
        SortedDictionary<string, int> errors = new(StringComparer.Ordinal);
        var environment = new Dictionary<string, string> { ["TMPDIR"] = folder.Temporary };
        TimeSpan longest = TimeSpan.Zero;
        long mostBytes = 0;
        int interrupted = 0;
        int trials = 0;
        List<string> failures = [];
        var period = new SoakPeriod();
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < Effort.Soak(seconds: 6); trials++)
        {
            var random = new Random(Effort.Seed(trials));
            string[] command = commands.Next(random);
            string name = command is [{ } first, ..] && !first.StartsWith('-') ? first : "help";
            string trace = $"Command {trials}: {string.Join(' ', command)}";
            int? signal = random.Next(8) == 0 ? random.Next(3) : null;
            int instant = random.Next(1500);
            ProcessSample most = default;
            var one = Stopwatch.StartNew();
            using Tool tool = Tool.Start(environment, [], command);
            while (!tool.HasEnded)
            {
                if (tool.ProcessorTime > Longest || one.Elapsed > 10 * Longest)
                {
                    failures.Add($"{trace}: it hangs.");
                    tool.Kill();
                }

                most = most.Or(ProcessSample.Of(tool.Id) ?? default);
                if (signal is { } now && one.ElapsedMilliseconds > instant)
                {
                    interrupted++;
                    tool.Signal(now switch { 0 => 9, 1 => 15, _ => 2 });
                    signal = -1 - now;
                    instant = int.MaxValue;
                }

                Thread.Sleep(10);
            }

            ToolResult result = tool.Finish();
            bool isKilled = (result.ExitCode == 137 && signal == -1) || (result.ExitCode == 143 && signal == -2);
            if (!result.IsCoded && !isKilled)
            {
                failures.Add($"{trace}: ended with {result.ExitCode} and {result.Error}");
                Effort.Report("soak, FAILED: " + failures[^1]);
            }

            codes[result.ExitCode] = codes.GetValueOrDefault(result.ExitCode) + 1;
            if (Error().Match(result.Error) is { Success: true } error)
            {
                errors[error.Groups[1].Value] = errors.GetValueOrDefault(error.Groups[1].Value) + 1;
            }

            longest = one.Elapsed > longest ? one.Elapsed : longest;
            if (!samples.TryGetValue(name, out List<ProcessSample>? list))
            {
                samples.Add(name, list = []);
            }

            list.Add(most);
            switch (random.Next(60))
            {
                case 0:
                    folder.LetTimePass();
                    break;
                case < 4:
                    folder.DamageKept(random);
                    break;
            }

            long bytes = folder.Bytes();
            mostBytes = Math.Max(mostBytes, bytes);
            Assert.True(bytes < MostBytes, $"{trace}: {bytes} bytes lie in the folder.");
            period.Add(clock.Elapsed, most, bytes);
        }

        period.End();
        Assert.Empty(failures);
        RunInOrder(folder, environment);
        Assert.Empty(folder.Leftovers());
        foreach ((string name, List<ProcessSample> list) in samples)
        {
            ProcessSample all = list.Aggregate((one, other) => one.Or(other));
            ProcessSample late = LastThird(list).Aggregate((one, other) => one.Or(other));
            Effort.Report(string.Create(CultureInfo.InvariantCulture, $"soak, {name}: {list.Count} times, at most {all.PeakBytes >> 20} MB "
                + $"and {all.Handles} handles; in the last third {late.PeakBytes >> 20} MB and {late.Handles}"));
        }

        Effort.Report("soak, errors: " + string.Join(", ", errors.Select(pair => $"{pair.Key} ({pair.Value})")));
        Effort.Report(string.Create(CultureInfo.InvariantCulture, $"soak: {trials} random commands, {interrupted} interrupted; exit codes "
            + $"{string.Join(", ", codes.Select(pair => $"{pair.Key} ({pair.Value})"))}; the longest took {longest.TotalSeconds:0.0} s; "
            + $"the folder held {mostBytes / 1e6:0.0} MB at most; nothing was left behind"));
    }

    /// <summary>The same commands without a process for each: many more of them, and what one leaves behind in memory adds up.</summary>
    [LinuxFact]
    public void Random_commands_in_one_process_do_not_let_it_grow()
    {
        using var folder = new SoakFolder();
        var commands = new RandomCommands(folder);
        List<(ProcessSample Process, long Managed)> samples = [];
        SortedDictionary<int, int> codes = [];
        List<string> failures = [];
        TimeSpan longest = TimeSpan.Zero;
        TimeSpan told = TimeSpan.Zero;
        int trials = 0;
        (TextWriter output, TextWriter error) = (Console.Out, Console.Error);
        for (var clock = Stopwatch.StartNew(); samples.Count < 2 * Warm || clock.Elapsed < Effort.Soak(seconds: 6); trials++)
        {
            var random = new Random(Effort.Seed(trials));
            string[] command = commands.Next(random);
            var one = Stopwatch.StartNew();
            var said = new StringWriter();
            Console.SetOut(TextWriter.Null);
            Console.SetError(said);
            int code;
            try
            {
                code = CommandLine.Run(command);
            }
            finally
            {
                Console.SetOut(output);
                Console.SetError(error);
            }

            codes[code] = codes.GetValueOrDefault(code) + 1;
            longest = one.Elapsed > longest ? one.Elapsed : longest;
            if (!new ToolResult(code, string.Empty, said.ToString()).IsCoded)
            {
                failures.Add($"Command {trials}: {string.Join(' ', command)}: ended with {code} and {said}");
                Effort.Report("soak in one process, FAILED: " + failures[^1]);
            }

            if (random.Next(60) == 0)
            {
                folder.LetTimePass();
            }

            if (trials % 5 == 4)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                samples.Add((ProcessSample.Of(Environment.ProcessId)!.Value, GC.GetTotalMemory(forceFullCollection: true)));
                if (clock.Elapsed - told > SoakPeriod.Length)
                {
                    told = clock.Elapsed;
                    Effort.Report("soak of commands in one process, " + Describe(trials + 1, samples[^1]));
                }
            }
        }

        Effort.Report(string.Create(CultureInfo.InvariantCulture, $"soak in one process: {trials} random commands; exit codes "
            + $"{string.Join(", ", codes.Select(pair => $"{pair.Key} ({pair.Value})"))}; the longest took {longest.TotalSeconds:0.0} s; "
            + $"{Describe(trials, samples[^1])}; {folder.Bytes() / 1e6:0.0} MB in the folder"));
        Assert.Empty(failures);
        AssertSteady(samples);
        Assert.Empty(folder.Leftovers());
    }

    [LinuxFact]
    public void One_process_that_does_the_same_again_and_again_does_not_grow()
    {
        using var trial = new Trial();
        string tokenizer = Repository.Path("tests/Zqfp.Tokenizers.Tests/Cases/bytes-nfc.json");
        List<(ProcessSample Process, long Managed)> samples = [];
        int rounds = 0;
        var clock = Stopwatch.StartNew();
        TimeSpan told = TimeSpan.Zero;
        for (; samples.Count < 2 * Warm || clock.Elapsed < Effort.Soak(seconds: 6); rounds++)
        {
            QuantizeJob.Run(Options(trial, rounds), new Observer(), CancellationToken.None);
            GateJob.Run(Gate(trial), new Observer(), CancellationToken.None);
            VerifyJob.Run(Verify(trial), new Observer(), CancellationToken.None);
            InspectJob.Run(Options(trial, rounds));
            PretrainedTokenizer.Load(tokenizer).EncodeToIds("Once upon a time");
            Assert.Throws<ZqfpException>(() => QuantizeJob.Run(
                Options(trial, rounds) with { CalibrationPath = trial.Model }, new Observer(), CancellationToken.None));
            GC.Collect();
            GC.WaitForPendingFinalizers();
            samples.Add((ProcessSample.Of(Environment.ProcessId)!.Value, GC.GetTotalMemory(forceFullCollection: true)));
            if (clock.Elapsed - told > SoakPeriod.Length)
            {
                told = clock.Elapsed;
                Effort.Report("soak, one process, " + Describe(rounds + 1, samples[^1]));
            }
        }

        Effort.Report("soak, one process, " + Describe(Warm, samples[Warm]) + "; at the end " + Describe(rounds, samples[^1]));
        AssertSteady(samples);
    }

    /// <summary>
    /// What the last third of the samples has at least is not more than what there was once the process was warm: after some samples, of a
    /// long soak after a tenth of them, for random commands take hundreds to have run all code once.
    /// </summary>
    private static void AssertSteady(List<(ProcessSample Process, long Managed)> samples)
    {
        (ProcessSample process, long managed) = samples[Math.Max(Warm, samples.Count / 10)];
        (ProcessSample Process, long Managed)[] last = [.. LastThird(samples)];
        Assert.True(last.Min(sample => sample.Managed) < managed + (4 << 20), "Managed memory grows.");
        Assert.True(last.Min(sample => sample.Process.Handles) <= process.Handles + 4, "Handles pile up.");
        Assert.True(last.Min(sample => sample.Process.Threads) <= process.Threads + 4, "Threads pile up.");
        Assert.True(last.Min(sample => sample.Process.Bytes) < process.Bytes + (process.Bytes / 2), "Memory grows.");
    }

    /// <summary>Each place that random commands write to, once more and in order: what killed runs left goes.</summary>
    private static void RunInOrder(SoakFolder folder, Dictionary<string, string> environment)
    {
        (string model, string calibration, string text) = (folder.In("base.onnx"), folder.In("cal.i16"), folder.In("eval.i16"));
        string[] quantize = ["quantize", model, "--calibration", calibration, "--window", "32", "--windows", "2"];
        string[] gate =
            ["gate", folder.Out("0.onnx"), "--against", model, "--text", text, "--window", "32", "--max-increase", "1000%"];
        string[][] commands =
        [
            .. Enumerable.Range(0, 4).Select(i => (string[])[.. quantize, "-o", folder.Out($"{i}.onnx"),
                "--work", folder.Kept($"work{i % 2}"), "--result", folder.Out("quantize.json")]),
            .. Enumerable.Range(0, 2).Select(i => (string[])[.. gate, "--cache", folder.Kept($"cache{i}"),
                "--result", folder.Out("gate.json"), "--baseline", folder.Out("baseline.json"), "--update-baseline"]),
            ["sweep", model, "-o", folder.Out("sweep"), "--calibration", calibration, "--text", text, "--window", "32",
                "--windows", "1", "--calibration-windows", "1", "--table", "constraints"],
            ["report", folder.Out("quantize.json"), "-o", folder.Out("report.html"), "-o", folder.Out("report.md"),
                "-o", folder.Out("report.json")],
        ];
        folder.LetTimePass();
        File.Delete(folder.Out("baseline.json"));
        foreach (string[] command in commands)
        {
            using Tool tool = Tool.Start(environment, [], command);
            ToolResult result = tool.Finish();
            Assert.True(result.ExitCode == 0, $"{string.Join(' ', command)}: {result.Error}");
        }
    }

    [GeneratedRegex(@"error (ZQFP\d{4}):")]
    private static partial Regex Error();

    private static IEnumerable<T> LastThird<T>(List<T> list) => list.Skip(list.Count * 2 / 3);

    private static string Describe(int rounds, (ProcessSample Process, long Managed) sample) => string.Create(CultureInfo.InvariantCulture,
        $"after {rounds}: {sample.Process.Bytes >> 20} MB, managed {sample.Managed / 1e6:0.0} MB, {sample.Process.Handles} handles, "
        + $"{sample.Process.Threads} threads");

    private static QuantizeOptions Options(Trial trial, int round) =>
        trial.QuantizeOptions with { Windows = 2 + (round % 2), WorkFolder = null };

    private static VerifyOptions Verify(Trial trial) => new()
    {
        ReferencePath = trial.Model,
        ModelPath = trial.Output,
        Window = Trial.Window,
        Windows = 2,
        Threads = 1,
    };

    private static GateOptions Gate(Trial trial) => trial.GateOptions with { Windows = 2, Divergence = true };
}
