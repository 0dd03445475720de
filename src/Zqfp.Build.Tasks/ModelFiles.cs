namespace Zqfp.Build.Tasks;

/// <summary>Where one model's outputs and bookkeeping live: a folder of its own, named by the model's place in the output.</summary>
internal sealed class ModelFiles
{
    public ModelFiles(string intermediateFolder, string link)
    {
        Folder = Path.GetFullPath(Path.Combine(intermediateFolder, link));
        QuantizedModel = Path.Combine(Folder, Path.GetFileName(link));
    }

    public string Folder { get; }

    /// <summary>
    /// The quantized model. It keeps the file name it has in the output folder, because its external data is found by name.
    /// </summary>
    public string QuantizedModel { get; }

    public string QuantizedData => QuantizedModel + ".data";

    /// <summary>Finished layers, from which an interrupted run resumes.</summary>
    public string WorkFolder => Path.Combine(Folder, "work");

    /// <summary>
    /// Everything the quantized model depends on; rewritten only when it differs, so its time is the time of the last change.
    /// </summary>
    public string QuantizeInputs => Path.Combine(Folder, "quantize.inputs");

    public string QuantizeStamp => Path.Combine(Folder, "quantize.stamp");

    public string QuantizeWarnings => Path.Combine(Folder, "quantize.warnings");

    /// <summary>Held while a step of the model runs.</summary>
    public const string Lock = "build.lock";

    /// <summary>The metadata with the hash of <see cref="QuantizeInputs"/>, which its stamp holds when they were the ones.</summary>
    public const string QuantizeKey = "QuantizeKey";

    /// <summary>As <see cref="QuantizeKey"/>, of <see cref="GateInputs"/>.</summary>
    public const string GateKey = "GateKey";

    /// <summary>Everything the gate's verdict depends on.</summary>
    public string GateInputs => Path.Combine(Folder, "gate.inputs");

    public string GateStamp => Path.Combine(Folder, "gate.stamp");

    public string GateWarnings => Path.Combine(Folder, "gate.warnings");

    /// <summary>What quantizing gave, as JSON.</summary>
    public string QuantizeResult => Path.Combine(Folder, "quantize.json");

    /// <summary>What the gate found, as JSON, also where it failed.</summary>
    public string GateResult => Path.Combine(Folder, "gate.json");

    public string ReportStamp => Path.Combine(Folder, "report.stamp");

    /// <summary>The reports, by what their names end in.</summary>
    public static IReadOnlyList<string> ReportKinds { get; } = ["html", "md", "json"];

    /// <summary>The report of one kind, beside the quantized model.</summary>
    public static string Report(string quantizedModel, string kind) => quantizedModel + ".report." + kind;
}
