namespace Zqfp.Build.Tasks;

/// <summary>One piece of metadata of a <c>ZqfpModel</c> and the tool's option it stands for.</summary>
internal sealed class ModelOption
{
    private ModelOption(string metadata, string commandLineOption, bool isFile = false, bool isList = false, bool isText = false)
    {
        Metadata = metadata;
        CommandLineOption = commandLineOption;
        IsFile = isFile;
        IsList = isList;
        IsText = isText;
    }

    public string Metadata { get; }

    public string CommandLineOption { get; }

    /// <summary>The value is a path, relative to the project; its content is an input, not its name.</summary>
    public bool IsFile { get; }

    /// <summary>The value is a list separated by semicolons; the option is repeated for each.</summary>
    public bool IsList { get; }

    /// <summary>The value is a piece of text, whose spaces and ends of line count.</summary>
    public bool IsText { get; }

    /// <summary>The values to pass for what the metadata says.</summary>
    public IEnumerable<string> Values(string metadata) =>
        IsList ? metadata.Split(';').Select(value => value.Trim()).Where(value => value.Length > 0) : [metadata];

    /// <summary>The property that holds the default, and that overrides the metadata when given on the command line.</summary>
    public string Property => "Zqfp" + Metadata;

    /// <summary>How texts are read, by both.</summary>
    private static IReadOnlyList<ModelOption> Reading { get; } =
    [
        new("JsonField", "--json-field"),
        new("DocumentMarker", "--document-marker", isText: true),
        new("DocumentSeparator", "--document-separator", isText: true),
        new("Bos", "--bos"),
    ];

    /// <summary>What <c>dotnet zqfp quantize</c> takes, in the order it is passed.</summary>
    public static IReadOnlyList<ModelOption> Quantize { get; } =
    [
        new("Tokenizer", "--tokenizer", isFile: true),
        new("Calibration", "--calibration", isFile: true),
        new("Weights", "--weights"),
        new("Activations", "--activations"),
        new("Method", "--method"),
        new("GroupSize", "--group-size"),
        new("Constraint", "--constraint"),
        new("Rounding", "--rounding"),
        new("Rank", "--rank"),
        new("Window", "--window"),
        new("Windows", "--windows"),
        new("WindowSeed", "--window-seed"),
        .. Reading,
        new("CalibrateOn", "--calibrate-on"),
        new("IncludeLayers", "--include", isList: true),
        new("ExcludeLayers", "--exclude", isList: true),
        new("MinLayerSize", "--min-size"),
        new("LayerOverrides", "--override", isList: true),
        new("Profile", "--profile", isList: true),
        new("AccuracyLevel", "--accuracy-level"),
        new("For", "--for"),
        new("OperatorsLibrary", "--operators-library", isFile: true),
        new("Preset", "--preset"),
    ];

    /// <summary>What <c>dotnet zqfp gate</c> takes, in the order it is passed.</summary>
    public static IReadOnlyList<ModelOption> Gate { get; } =
    [
        new("Evaluation", "--text", isFile: true),
        new("Tokenizer", "--tokenizer", isFile: true),
        new("Window", "--window"),
        new("EvaluationWindows", "--windows"),
        .. Reading,
        new("MaxPerplexityIncrease", "--max-increase"),
        new("MaxPerplexity", "--max-perplexity"),
        new("Baseline", "--baseline", isFile: true),
        new("MaxRegression", "--max-regression"),
        new("Device", "--device"),
    ];

    /// <summary>Every option once.</summary>
    public static IEnumerable<ModelOption> All =>
        Quantize.Concat(Gate).GroupBy(option => option.Metadata).Select(same => same.First());
}
