using Microsoft.Build.Framework;

namespace Zqfp.Build.Tasks;

/// <summary>Quantizes one model.</summary>
[MSBuildMultiThreadableTask]
public sealed class ZqfpQuantize : ZqfpToolTask
{
    /// <summary>Where the model has a gate, that gate's line says everything, and the result of the quantization stays quiet.</summary>
    protected override MessageImportance StandardOutputLoggingImportance =>
        Model.GetMetadata("Evaluation").Length > 0 ? MessageImportance.Low : MessageImportance.High;

    private protected override string Command => "quantize";

    private protected override string Stamp => Model.GetMetadata(nameof(ModelFiles.QuantizeStamp));

    private protected override string Key => Model.GetMetadata(ModelFiles.QuantizeKey);

    /// <summary>A model that is there is not written again, whatever its time: another build may be reading it.</summary>
    private protected override bool MayBeDone(ModelLock turn) => true;

    private protected override IEnumerable<string> Outputs =>
    [
        Model.GetMetadata(nameof(ModelFiles.QuantizedModel)), Model.GetMetadata(nameof(ModelFiles.QuantizedData)), Result,
        .. Model.GetMetadata("FurtherFiles").Split([';'], StringSplitOptions.RemoveEmptyEntries),
    ];

    private protected override string WarningsFile => Model.GetMetadata(nameof(ModelFiles.QuantizeWarnings));

    private protected override string Result => Model.GetMetadata(nameof(ModelFiles.QuantizeResult));

    private protected override void AddOptions(CommandLineArguments arguments)
    {
        string output = Model.GetMetadata(nameof(ModelFiles.QuantizedModel));
        arguments.AddOption("--output", GenAiFolder.IsWanted(Model) ? Path.GetDirectoryName(output)! : output);
        AddOptions(arguments, ModelOption.Quantize);
        arguments.AddOption("--work", Model.GetMetadata(nameof(ModelFiles.WorkFolder)));
    }
}
