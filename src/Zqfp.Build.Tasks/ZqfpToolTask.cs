using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks;

/// <summary>
/// Runs one command of <c>dotnet zqfp</c> in a process of its own, so that no native library is ever loaded into a build node,
/// and turns its output into build messages. The stamp is written only on success.
/// </summary>
[SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "MSBuild binds arrays of items.")]
public abstract class ZqfpToolTask : ToolTask
{
    /// <summary>Exit codes above it are the number of the signal that ended a process.</summary>
    private const int SignalBase = 128;

    /// <summary>What the tool waits for, and from where it continues.</summary>
    private const string NotePrefix = "note: ";

    private const string OnnxRuntimeVariable = "ZQFP_ONNXRUNTIME";

    private readonly StringBuilder _warnings = new();
    private string _lastMessage = string.Empty;
    private volatile bool _isCancelled;

    /// <summary>One item of <see cref="PrepareZqfpModels.PreparedModels"/>.</summary>
    [Required]
    public ITaskItem Model { get; set; } = null!;

    /// <summary>The path of <c>dotnet-zqfp.dll</c>.</summary>
    [Required]
    public string ToolAssembly { get; set; } = string.Empty;

    /// <summary>The <c>dotnet</c> program; empty: the one on the search path.</summary>
    public string DotNetHost { get; set; } = string.Empty;

    /// <summary>The project's folder, in which the tool runs.</summary>
    [Required]
    public string ProjectDirectory { get; set; } = string.Empty;

    /// <summary>The folder or the address of the pages about diagnostics; empty for none.</summary>
    public string HelpLinkBase { get; set; } = string.Empty;

    /// <summary>How many threads the tool may use; empty: as many as there are processors. The result does not depend on it.</summary>
    public string Threads { get; set; } = string.Empty;

    /// <summary>The ONNX Runtime library the tool is to load; empty for its own, or what <c>ZQFP_ONNXRUNTIME</c> names.</summary>
    public string OnnxRuntime { get; set; } = string.Empty;

    /// <summary>
    /// The file of warnings, when the tool ran. A target that was up to date has no such output, and replays the warnings instead.
    /// </summary>
    [Output]
    public ITaskItem[] Executed { get; private set; } = [];

    /// <inheritdoc/>
    protected override string ToolName => Path.DirectorySeparatorChar == '/' ? "dotnet" : "dotnet.exe";

    /// <summary>What the tool writes to its output is its result: one line.</summary>
    protected override MessageImportance StandardOutputLoggingImportance => MessageImportance.High;

    /// <summary>Progress.</summary>
    protected override MessageImportance StandardErrorLoggingImportance => MessageImportance.Low;

    /// <inheritdoc/>
    protected override Encoding StandardOutputEncoding => Encoding.UTF8;

    /// <inheritdoc/>
    protected override Encoding StandardErrorEncoding => Encoding.UTF8;

    private HelpLinks Links => new(HelpLinkBase);

    private protected abstract string Command { get; }

    /// <summary>The model the command is about.</summary>
    private protected virtual string Subject => Model.ItemSpec;

    private protected abstract string Stamp { get; }

    /// <summary>What the stamp holds of a step whose result belongs to these inputs; empty for one that is repeated without harm.</summary>
    private protected virtual string Key => string.Empty;

    /// <summary>Whether another build may have done the step since this one saw that it is to be done.</summary>
    private protected virtual bool MayBeDone(ModelLock turn) => turn.HasWaited;

    /// <summary>The files that the step leaves.</summary>
    private protected virtual IEnumerable<string> Outputs => [];

    /// <summary>Where the warnings are kept for builds that skip the step; empty for a step that gives none.</summary>
    private protected virtual string WarningsFile => string.Empty;

    /// <summary>The file of the step's result; empty where there is none.</summary>
    private protected virtual string Result => string.Empty;

    /// <inheritdoc/>
    public override bool Execute()
    {
        try
        {
            string folder = Path.GetDirectoryName(Stamp)!;
            Directory.CreateDirectory(folder);
            using ModelLock? turn = ModelLock.Acquire(Path.Combine(folder, ModelFiles.Lock), Log, () => _isCancelled);
            return turn is not null && ((MayBeDone(turn) && IsDone()) || Run());
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.LogError(subcategory: null, "ZQFP0905", helpKeyword: null, Links.Of("ZQFP0905"), Stamp, 0, 0, 0,
                0, $"what was done could not be written down: {exception.Message}");
            return false;
        }
    }

    /// <inheritdoc/>
    public override void Cancel()
    {
        _isCancelled = true;
        base.Cancel();
    }

    /// <summary>Whether this step was done, from the same inputs.</summary>
    private bool IsDone() => Key.Length > 0 && TextFile.Has(Stamp, Key) && Outputs.All(File.Exists);

    private bool Run()
    {
        File.Delete(Stamp);
        if (Result.Length > 0)
        {
            File.Delete(Result);
        }

        if (OnnxRuntime.Length > 0 && string.IsNullOrEmpty(Environment.GetEnvironmentVariable(OnnxRuntimeVariable)))
        {
            EnvironmentVariables = [$"{OnnxRuntimeVariable}={OnnxRuntime}"];
        }

        Executed = WarningsFile.Length > 0 ? [new TaskItem(Escaping.Escape(WarningsFile))] : [];
        bool succeeded = base.Execute() && !Log.HasLoggedErrors;
        if (succeeded)
        {
            if (WarningsFile.Length > 0)
            {
                TextFile.WriteIfDifferent(WarningsFile, _warnings.ToString());
            }

            TextFile.Write(Stamp, Key);
        }

        return succeeded;
    }

    private protected abstract void AddOptions(CommandLineArguments arguments);

    private protected void AddOptions(CommandLineArguments arguments, IEnumerable<ToolOption> options)
    {
        foreach (ToolOption option in options)
        {
            foreach (string value in ModelOption.Values(option, Model.GetMetadata(option.Metadata)))
            {
                arguments.AddOption(option.Name, value);
            }
        }
    }

    /// <inheritdoc/>
    protected override string GenerateFullPathToTool() => DotNetHost.Length > 0 ? DotNetHost : ToolName;

    /// <inheritdoc/>
    protected override string GetWorkingDirectory() => ProjectDirectory;

    /// <inheritdoc/>
    protected override string GenerateCommandLineCommands()
    {
        CommandLineArguments arguments = new CommandLineArguments().Add(ToolAssembly).Add(Command).Add(Subject);
        AddOptions(arguments);
        return arguments.AddOption("--result", Result).AddOption("--threads", Threads).ToString();
    }

    /// <inheritdoc/>
    protected override void LogToolCommand(string message) => Log.LogCommandLine(MessageImportance.Low, message);

    /// <inheritdoc/>
    protected override void LogEventsFromTextOutput(string singleLine, MessageImportance messageImportance)
    {
        if (ToolDiagnostic.Parse(singleLine) is { } diagnostic)
        {
            diagnostic.LogTo(Log, Links);
            if (!diagnostic.IsError)
            {
                _warnings.Append(singleLine).Append('\n');
            }
        }
        else if (singleLine.Length > 0)
        {
            _lastMessage = singleLine;
            bool isNote = singleLine.StartsWith(NotePrefix, StringComparison.Ordinal);
            Log.LogMessage(isNote ? MessageImportance.High : messageImportance, "{0}", singleLine);
        }
    }

    /// <inheritdoc/>
    protected override bool HandleTaskExecutionErrors()
    {
        if (!Log.HasLoggedErrors)
        {
            string last = _lastMessage.Length > 0 ? $" Its last line was: {_lastMessage}" : string.Empty;
            string death = ExitCode > SignalBase ? DeathBy(ExitCode - SignalBase) : string.Empty;
            Log.LogError(
                subcategory: null, "ZQFP0904", helpKeyword: null, Links.Of("ZQFP0904"), Model.ItemSpec, 0, 0, 0, 0,
                "{0}",
                $"the tool ended with exit code {ExitCode.ToString(CultureInfo.InvariantCulture)} and no error message.{death} "
                + $"Build with -v:detailed for its output.{last}");
        }

        return false;
    }

    /// <summary>What the exit codes of a process mean that a signal ended.</summary>
    private static string DeathBy(int signal) => signal switch
    {
        9 => " It was killed, mostly for want of memory: use fewer or shorter windows.",
        7 => " A file it had mapped became shorter while it read it: let the copy finish before the build.",
        6 or 11 => " It crashed in native code, as ONNX Runtime does on some malformed models.",
        15 => " It was asked to end.",
        _ => $" Signal {signal} ended it.",
    };
}
