using Microsoft.Build.Framework;

namespace Zqfp.Build.Tasks;

/// <summary>Makes the reports of what the quantization and the gate of one model gave; also of a gate that failed.</summary>
[MSBuildMultiThreadableTask]
public sealed class ZqfpReport : ZqfpToolTask
{
    /// <summary>It names the files, which are where they always are.</summary>
    protected override MessageImportance StandardOutputLoggingImportance => MessageImportance.Low;

    /// <inheritdoc/>
    public override bool Execute()
    {
        bool succeeded = base.Execute();
        if (succeeded && HasFailed)
        {
            Log.LogMessage(MessageImportance.High, "{0}: report of the gate that failed: {1}", Model.ItemSpec,
                ModelFiles.Report(Model.GetMetadata(nameof(ModelFiles.QuantizedModel)), ModelFiles.ReportKinds[0]));
        }

        return succeeded;
    }

    private protected override string Command => "report";

    private protected override string Subject => Model.GetMetadata(nameof(ModelFiles.QuantizeResult));

    private protected override string Stamp => Model.GetMetadata(nameof(ModelFiles.ReportStamp));

    private protected override void AddOptions(CommandLineArguments arguments)
    {
        string gate = Model.GetMetadata(nameof(ModelFiles.GateResult));
        if (gate.Length > 0 && File.Exists(gate) && IsOfThisModel(gate))
        {
            arguments.AddOption("--gate", gate);
        }

        foreach (string kind in ModelFiles.ReportKinds)
        {
            arguments.AddOption("--output", ModelFiles.Report(Model.GetMetadata(nameof(ModelFiles.QuantizedModel)), kind));
        }
    }

    /// <summary>A gate that passed has left its stamp after its result.</summary>
    private bool HasFailed
    {
        get
        {
            string gate = Model.GetMetadata(nameof(ModelFiles.GateResult));
            return gate.Length > 0 && File.Exists(gate) && IsOfThisModel(gate)
                && File.GetLastWriteTimeUtc(Model.GetMetadata(nameof(ModelFiles.GateStamp))) < File.GetLastWriteTimeUtc(gate);
        }
    }

    /// <summary>
    /// A gate that could not be decided has no result; one that did not run, because another model's failed, has that of an earlier build.
    /// </summary>
    private bool IsOfThisModel(string gate)
    {
        DateTime decided = File.GetLastWriteTimeUtc(gate);
        return new[] { nameof(ModelFiles.QuantizeStamp), nameof(ModelFiles.GateInputs) }
            .All(input => decided >= File.GetLastWriteTimeUtc(Model.GetMetadata(input)));
    }
}
