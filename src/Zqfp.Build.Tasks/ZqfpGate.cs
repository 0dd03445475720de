using Microsoft.Build.Framework;

namespace Zqfp.Build.Tasks;

/// <summary>Measures the perplexity of a quantized model against the float model, and fails where the limit is exceeded.</summary>
[MSBuildMultiThreadableTask]
public sealed class ZqfpGate : ZqfpToolTask
{
    /// <summary>The folder of measured perplexities, so that another limit needs no new measurement.</summary>
    [Required]
    public string EvaluationCache { get; set; } = string.Empty;

    /// <summary>"true" to accept the result as the baseline of models that have one.</summary>
    public string UpdateBaseline { get; set; } = string.Empty;

    private protected override string Command => "gate";

    private protected override string Subject => Model.GetMetadata(nameof(ModelFiles.QuantizedModel));

    private protected override string Stamp => Model.GetMetadata(nameof(ModelFiles.GateStamp));

    private protected override string Key => Model.GetMetadata(ModelFiles.GateKey);

    private protected override IEnumerable<string> Outputs => [Result];

    private protected override string WarningsFile => Model.GetMetadata(nameof(ModelFiles.GateWarnings));

    private protected override string Result => Model.GetMetadata(nameof(ModelFiles.GateResult));

    private protected override void AddOptions(CommandLineArguments arguments)
    {
        arguments.AddOption("--against", Model.ItemSpec);
        bool hasBaseline = Model.GetMetadata("Baseline").Length > 0;
        AddOptions(arguments, ModelOption.Gate.Where(option => hasBaseline || option.Metadata != "MaxRegression"));
        arguments.AddOption("--cache", EvaluationCache);
        if (hasBaseline)
        {
            // The same name on every machine, and another one for each model of each project that shares the file.
            string place = Path.Combine(ProjectDirectory, Model.GetMetadata("Link"));
            arguments.AddOption("--baseline-name", RelativePath.Of(Path.GetDirectoryName(Model.GetMetadata("Baseline"))!, place));
            if (string.Equals(UpdateBaseline, "true", StringComparison.OrdinalIgnoreCase))
            {
                arguments.Add("--update-baseline");
            }
        }
    }
}
