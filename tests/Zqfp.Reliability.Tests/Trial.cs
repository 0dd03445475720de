using Zqfp.Evaluation;
using Zqfp.Quantization;

namespace Zqfp.Reliability.Tests;

/// <summary>A folder with a small model, an output and a work folder, and what quantizing that model gives.</summary>
internal sealed class Trial : IDisposable
{
    public const int Window = 32;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-reliability-").FullName;

    public Trial()
    {
        foreach (string name in (string[])["model.onnx", "cal.i16", "eval.i16"])
        {
            File.Copy(Path.Combine(Case, name), Path.Combine(_folder, name));
        }
    }

    /// <summary>A decoder of two blocks; its texts are token ids.</summary>
    public static string Case { get; } = Repository.Path("tests/Cases/base");

    public string Folder => _folder;

    public string Model => Path.Combine(_folder, "model.onnx");

    public string Calibration => Path.Combine(_folder, "cal.i16");

    public string Evaluation => Path.Combine(_folder, "eval.i16");

    public string OutputFolder => Path.Combine(_folder, "out");

    public string Output => Path.Combine(OutputFolder, "m.onnx");

    public string Work => Path.Combine(_folder, "work");

    public string Cache => Path.Combine(_folder, "cache");

    /// <summary>Both files of the output, or null where it is not there.</summary>
    public byte[]? OutputBytes => File.Exists(Output) ? [.. File.ReadAllBytes(Output), .. File.ReadAllBytes(Output + ".data")] : null;

    /// <summary>Whether the output is there and one of <paramref name="models"/>.</summary>
    public bool OutputIsOneOf(IEnumerable<byte[]> models) =>
        OutputBytes is { } made && models.Any(model => made.AsSpan().SequenceEqual(model));

    /// <summary>The command that quantizes the model.</summary>
    public string[] Quantize(params string[] more) =>
    [
        "quantize", Model, "-o", Output, "--calibration", Calibration, "--window", $"{Window}", "--windows", "4", "--threads", "1", .. more,
    ];

    /// <summary>The command that measures what that cost.</summary>
    public string[] Gate(params string[] more) =>
    [
        "gate", Output, "--against", Model, "--text", Evaluation, "--window", $"{Window}", "--windows", "4", "--max-increase", "100%",
        "--threads", "1", .. more,
    ];

    /// <summary>The options of that command, for a run in this process, with the work folder.</summary>
    public QuantizeOptions QuantizeOptions => new()
    {
        ModelPath = Model,
        OutputPath = Output,
        CalibrationPath = Calibration,
        Window = Window,
        Windows = 4,
        WorkFolder = Work,
        Threads = 1,
    };

    /// <summary>The options of a gate without limits.</summary>
    public GateOptions GateOptions => new()
    {
        ModelPath = Output,
        FloatModelPath = Model,
        TextPath = Evaluation,
        Window = Window,
        Windows = 4,
        CacheFolder = Cache,
        Threads = 1,
    };

    /// <summary>What lies in the output's folder besides the output.</summary>
    public string[] Strays() => Directory.Exists(OutputFolder)
        ? [.. Directory.GetFileSystemEntries(OutputFolder).Select(path => Path.GetFileName(path))
            .Where(name => name is not ("m.onnx" or "m.onnx.data")).Order(StringComparer.Ordinal)]
        : [];

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
