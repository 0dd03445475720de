using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks.Tests;

/// <summary>The tasks that run the tool, with a script in the place of <c>dotnet</c>: what is passed, what is made of the output.</summary>
public sealed class ToolTaskTests : IDisposable
{
    private const string Help = "https://example.org";

    private readonly TemporaryFolder _folder = new();
    private readonly BuildEngine _engine = new();

    private string[] Arguments => File.ReadAllText(Path.Combine(_folder.Path, "arguments")).Split('\0')[..^1];

    private string Stamp => Path.Combine(_folder.Path, "quantize.stamp");

    private int Runs => File.ReadAllLines(Path.Combine(_folder.Path, "ran")).Length;

    private string GateStamp => Path.Combine(_folder.Path, "gate.stamp");

    [UnixFact]
    public void Quantize_passes_what_is_set_and_leaves_the_rest_to_the_tool()
    {
        Assert.True(Quantize("exit 0", ("Weights", "fp4"), ("Rank", "0")));

        Assert.Equal(
            ["tool.dll", "quantize", "/a folder/m.onnx", "--output", "/out/m.onnx", "--tokenizer", "/t;k.json", "--calibration",
                "/c.txt", "--weights", "fp4", "--rank", "0", "--work", "/layers", "--result", "/quantize.json", "--threads", "2"],
            Arguments);
    }

    [UnixFact]
    public void Quantize_repeats_an_option_for_each_entry_of_a_list()
    {
        Assert.True(Quantize("exit 0", ("ExcludeLayers", " a* ;b ; "), ("LayerOverrides", "c:rank=4,format=fp8;d:format=float"),
            ("Profile", "custom;portable")));

        Assert.Equal(
            ["--profile", "custom", "--profile", "portable", "--exclude", "a*", "--exclude", "b", "--override",
                "c:rank=4,format=fp8", "--override", "d:format=float"],
            Arguments[9..^6]);
    }

    [UnixFact]
    public void Gate_passes_both_models_and_the_limit()
    {
        Assert.True(Gate("exit 0", ("MaxPerplexityIncrease", "5%"), ("Rank", "0")));

        Assert.Equal(
            ["tool.dll", "gate", "/out/m.onnx", "--against", "/a folder/m.onnx", "--tokenizer", "/t;k.json", "--text",
                "/e.txt", "--max-increase", "5%", "--cache", "/cache", "--result", "/gate.json"],
            Arguments);
    }

    [Theory]
    [InlineData("zqfp.baseline.json", "model/m.onnx")]
    [InlineData("../zqfp.baseline.json", "PROJECT/model/m.onnx")]
    public void A_model_of_a_project_has_a_name_of_its_own_in_a_baseline_that_projects_share(string baseline, string expected)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        Assert.True(Gate("exit 0", ("Baseline", Path.GetFullPath(Path.Combine(_folder.Path, baseline))), ("Link", "model/m.onnx")));

        Assert.Equal(expected.Replace("PROJECT", Path.GetFileName(_folder.Path), StringComparison.Ordinal),
            Arguments[Array.IndexOf(Arguments, "--baseline-name") + 1]);
    }

    [UnixFact]
    public void Only_success_leaves_a_stamp()
    {
        Assert.True(Quantize("exit 0"));
        Assert.True(File.Exists(Stamp));

        Assert.False(Quantize("echo '/m.onnx : error ZQFP1001: Broken.' >&2; exit 11"));
        Assert.False(File.Exists(Stamp));
    }

    [UnixFact]
    public void An_error_of_the_tool_is_the_only_error()
    {
        Assert.False(Gate("echo '/m.onnx : error ZQFP3001: {0} Perplexity rose by 7 %.' >&2; exit 20"));

        BuildErrorEventArgs error = Assert.Single(_engine.Errors);
        Assert.Equal(("ZQFP3001", "/m.onnx", "{0} Perplexity rose by 7 %."), (error.Code, error.File, error.Message));
        Assert.False(File.Exists(GateStamp));
    }

    [UnixFact]
    public void A_tool_that_ends_without_a_word_is_one_coded_error()
    {
        Assert.False(Quantize("echo 'last words' >&2; exit 134"));

        BuildErrorEventArgs error = Assert.Single(_engine.Errors);
        Assert.Equal("ZQFP0904", error.Code);
        Assert.Contains("134", error.Message, StringComparison.Ordinal);
        Assert.Contains("last words", error.Message, StringComparison.Ordinal);
    }

    [UnixFact]
    public void The_result_is_shown_and_progress_is_not()
    {
        Assert.True(Gate("echo 'm.onnx: FP4'; echo 'Evaluating: 1/2' >&2"));

        Assert.Equal(MessageImportance.High, Assert.Single(_engine.Messages, message => message.Message == "m.onnx: FP4").Importance);
        Assert.Equal(MessageImportance.Low, Assert.Single(_engine.Messages, message => message.Message == "Evaluating: 1/2").Importance);
        Assert.Single(_engine.Messages, message => message.Importance == MessageImportance.High);
    }

    [UnixFact]
    public void The_result_of_quantizing_is_not_shown_where_a_gate_follows()
    {
        Assert.True(Quantize("echo 'm.onnx: FP4'", ("Evaluation", "/e.txt")));
        Assert.DoesNotContain(_engine.Messages, message => message.Importance == MessageImportance.High);

        Assert.True(Quantize("echo 'm.onnx: FP4'"));
        Assert.Single(_engine.Messages, message => message.Importance == MessageImportance.High);
    }

    [UnixFact]
    public void Warnings_are_given_and_replayed_word_for_word()
    {
        const string Warning = "/m.onnx : warning ZQFP2003: Größe {0} %3b; hm";
        Assert.True(Quantize($"echo '{Warning}' >&2"));
        Assert.True(Replay(executed: true));
        Assert.Single(_engine.Warnings);

        Assert.True(Replay(executed: false));

        Assert.Equal(2, _engine.Warnings.Count);
        Assert.All(_engine.Warnings,
            warning => Assert.Equal(("ZQFP2003", "/m.onnx", "Größe {0} %3b; hm"), (warning.Code, warning.File, warning.Message)));
    }

    [UnixFact]
    public void What_is_given_and_what_is_replayed_link_to_the_page_of_its_code()
    {
        Assert.False(Quantize("echo '/m.onnx : warning ZQFP2003: Hm.' >&2; echo '/m.onnx : error ZQFP1001: Broken.' >&2; exit 11"));
        Assert.True(Quantize("echo '/m.onnx : warning ZQFP2003: Hm.' >&2"));
        Assert.True(Replay(executed: false));

        Assert.Equal("https://example.org/ZQFP1001.md", Assert.Single(_engine.Errors).HelpLink);
        Assert.Equal(3, _engine.Warnings.Count);
        Assert.All(_engine.Warnings, warning => Assert.Equal("https://example.org/ZQFP2003.md", warning.HelpLink));
    }

    [UnixFact]
    public void Warnings_that_are_gone_are_not_replayed()
    {
        Assert.True(Quantize("echo '/m.onnx : warning ZQFP2003: Hm.' >&2"));
        Assert.True(Quantize("exit 0"));
        Assert.True(Replay(executed: false));

        Assert.Single(_engine.Warnings);
    }

    [UnixFact]
    public void The_report_has_the_gate_where_there_is_a_verdict_and_says_where_it_is_only_when_that_is_bad()
    {
        string[] outputs =
        [
            "--output", "/out/m.onnx.report.html", "--output", "/out/m.onnx.report.md", "--output", "/out/m.onnx.report.json"
        ];
        Assert.True(Report("/no such gate.json"));
        Assert.Equal(["tool.dll", "report", "/quantize.json", .. outputs], Arguments);

        string gate = _folder.Write("gate.json", "{}");
        File.WriteAllText(GateStamp, "");
        Assert.True(Report(gate));
        Assert.Equal(["tool.dll", "report", "/quantize.json", "--gate", gate, .. outputs], Arguments);
        Assert.DoesNotContain(_engine.Messages, message => message.Importance == MessageImportance.High);

        File.Delete(GateStamp);
        Assert.True(Report(gate));
        BuildMessageEventArgs said = Assert.Single(_engine.Messages, message => message.Importance == MessageImportance.High);
        Assert.EndsWith("report of the gate that failed: /out/m.onnx.report.html", said.Message, StringComparison.Ordinal);
    }

    [UnixFact]
    public void The_report_has_no_verdict_that_is_older_than_what_it_was_about()
    {
        string gate = _folder.Write("gate.json", "{}");
        foreach (string newer in (string[])["quantize.stamp", "gate.inputs"])
        {
            string file = _folder.Write(newer, "");
            File.SetLastWriteTimeUtc(file, File.GetLastWriteTimeUtc(gate));
            Assert.True(Report(gate));
            Assert.Contains("--gate", Arguments);

            File.SetLastWriteTimeUtc(file, File.GetLastWriteTimeUtc(gate).AddSeconds(1));
            Assert.True(Report(gate));
            Assert.DoesNotContain("--gate", Arguments);
            File.Delete(file);
        }
    }

    [UnixFact]
    public void The_verdict_of_an_earlier_run_does_not_outlive_the_next()
    {
        string gate = _folder.Write("gate.json", "{}");
        Assert.False(Execute(new ZqfpGate { EvaluationCache = "/cache", DotNetHost = Script("exit 14") },
            [("Evaluation", "/e.txt")], gate));

        Assert.False(File.Exists(gate));
    }

    [UnixFact]
    public void A_model_that_another_build_made_of_the_same_inputs_is_not_written_again()
    {
        string model = _folder.Write("q.onnx", "");
        string result = Path.Combine(_folder.Path, "quantize.json");
        string run = $"echo 1 >> ran; touch '{result}'";
        (string, string)[] made = [("QuantizeKey", "key"), ("QuantizedModel", model), ("QuantizedData", model), ("QuantizeResult", result)];
        Assert.True(Quantize(run, made));
        Assert.Equal("key", File.ReadAllText(Stamp));
        Assert.True(Quantize(run, made));
        Assert.Equal(1, Runs);

        Assert.True(Quantize(run, [.. made, ("QuantizeKey", "other")]));
        Assert.Equal(2, Runs);
        File.Delete(model);
        Assert.True(Quantize(run, [.. made, ("QuantizeKey", "other")]));
        Assert.Equal(3, Runs);
    }

    [UnixFact]
    public async System.Threading.Tasks.Task A_verdict_is_given_once_by_two_builds_and_again_by_one()
    {
        string result = Path.Combine(_folder.Path, "gate.json");
        string run = $"echo 1 >> ran; touch '{result}'";
        (string, string)[] made = [("GateKey", "key"), ("GateResult", result)];
        Assert.True(Gate(run, made));
        Assert.True(Gate(run, made));
        Assert.Equal(2, Runs);

        Assert.True(await AfterAnother(() => Gate(run, made)));
        Assert.Equal(2, Runs);
        Assert.True(await AfterAnother(() => Gate(run, [.. made, ("GateKey", "other")])));
        Assert.Equal(3, Runs);
    }

    [UnixFact]
    public async System.Threading.Tasks.Task Waiting_for_another_build_can_be_cancelled()
    {
        var task = new ZqfpQuantize { DotNetHost = Script("echo 1 >> ran") };
        Assert.False(await AfterAnother(() => Execute(task, []), task.Cancel));
        Assert.False(File.Exists(Path.Combine(_folder.Path, "ran")));
    }

    /// <summary>Runs a step that finds another build at work, which ends when this one waits.</summary>
    private async Task<bool> AfterAnother(Func<bool> step, Action? instead = null)
    {
        using var other = new FileStream(
            Path.Combine(_folder.Path, "build.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        int told = Notes();
        Task<bool> waiting = System.Threading.Tasks.Task.Run(step);
        while (Notes() == told)
        {
            Assert.False(waiting.IsCompleted);
            await System.Threading.Tasks.Task.Delay(10);
        }

        (instead ?? other.Dispose)();
        return await waiting;

        int Notes() => _engine.Messages.ToArray().Count(
            message => message?.Message?.StartsWith("note: Waiting", StringComparison.Ordinal) == true);
    }

    public void Dispose() => _folder.Dispose();

    private bool Quantize(string script, params (string Name, string Value)[] metadata) =>
        Execute(new ZqfpQuantize { Threads = "2", DotNetHost = Script(script) }, metadata);

    private bool Gate(string script, params (string Name, string Value)[] metadata) =>
        Execute(new ZqfpGate { EvaluationCache = "/cache", DotNetHost = Script(script) }, [("Evaluation", "/e.txt"), .. metadata]);

    private bool Execute(ZqfpToolTask task, (string Name, string Value)[] metadata, string? gateResult = null)
    {
        var model = new TaskItem("/a folder/m.onnx");
        (string, string)[] otherwise =
        [
            ("Tokenizer", "/t;k.json"), ("Calibration", "/c.txt"), ("QuantizedModel", "/out/m.onnx"), ("WorkFolder", "/layers"),
            ("QuantizeStamp", Stamp), ("QuantizeWarnings", Path.Combine(_folder.Path, "quantize.warnings")),
            ("GateStamp", GateStamp), ("GateInputs", Path.Combine(_folder.Path, "gate.inputs")), ("QuantizeResult", "/quantize.json"),
            ("GateResult", gateResult ?? "/gate.json"), ("ReportStamp", Path.Combine(_folder.Path, "report.stamp")),
            ("GateWarnings", Path.Combine(_folder.Path, "gate.warnings")),
        ];
        foreach ((string name, string value) in otherwise.Concat(metadata))
        {
            model.SetMetadata(name, Escaping.Escape(value));
        }

        task.BuildEngine = _engine;
        task.HelpLinkBase = Help;
        task.Model = model;
        task.ToolAssembly = "tool.dll";
        task.ProjectDirectory = _folder.Path;
        bool succeeded = task.Execute();
        return succeeded;
    }

    private bool Replay(bool executed)
    {
        ITaskItem file = new TaskItem(Escaping.Escape(Path.Combine(_folder.Path, "quantize.warnings")));
        return new ReplayZqfpWarnings
        {
            BuildEngine = _engine,
            HelpLinkBase = Help,
            WarningFiles = [file],
            Executed = executed ? [file] : []
        }.Execute();
    }

    private bool Report(string? gateResult) =>
        Execute(new ZqfpReport { DotNetHost = Script("echo /out/m.onnx.report.html") }, [], gateResult);

    private string Script(string body)
    {
        string path = _folder.Write("dotnet script", $"#!/bin/sh\nprintf '%s\\0' \"$@\" > arguments\n{body}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.UserWrite);
        }

        return path;
    }
}
