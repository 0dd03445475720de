using Google.Protobuf;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.Quantization;

namespace Zqfp.Tests;

/// <summary>The sample's model and texts, which are in the repository.</summary>
internal static class SampleModel
{
    public static string Model { get; } = Repository.Path("samples/ModelProject/model/model.onnx");

    public static string Tokenizer { get; } = Repository.Path("samples/ModelProject/model/tokenizer.json");

    public static string Calibration { get; } = Repository.Path("samples/ModelProject/data/tinystories-calibration.txt");

    public static string Evaluation { get; } = Repository.Path("samples/ModelProject/data/tinystories-evaluation.txt");

    /// <summary>The sample's recipe on few windows.</summary>
    public static QuantizeOptions Quick(string output) => new()
    {
        ModelPath = Model,
        OutputPath = output,
        TokenizerPath = Tokenizer,
        CalibrationPath = Calibration,
        Window = 128,
        Windows = 16,
    };

    /// <summary>A copy of the float model that says how many of its layers are quantized.</summary>
    public static string MarkQuantized(string folder, int layers = 28)
    {
        string path = Path.Combine(Directory.CreateDirectory(folder).FullName, "model.onnx");
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Model));
        model.MetadataProps.Add(new StringStringEntryProto { Key = ModelProperties.LayersKey, Value = $"{layers}" });
        File.WriteAllBytes(path, model.ToByteArray());
        File.Copy(Model + ".data", path + ".data", overwrite: true);
        return path;
    }

    public static EvaluationResult Evaluate(string model, int windows) => EvaluateJob.Run(
        new EvaluateOptions { ModelPath = model, TextPath = Evaluation, TokenizerPath = Tokenizer, Window = 128, Windows = windows },
        new SilentObserver(),
        CancellationToken.None);
}

/// <summary>Collects warnings and ignores progress.</summary>
internal sealed class SilentObserver : IJobObserver
{
    public List<Diagnostic> Warnings { get; } = [];

    public void Report(JobProgress progress)
    {
    }

    public void Warn(Diagnostic warning) => Warnings.Add(warning);
}
