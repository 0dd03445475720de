using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Zqfp.Quantization.Tests;

/// <summary>What the preset 'default' does to the sample's model: float targets, rotations and refits.</summary>
public sealed class DefaultRecipeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private QuantizeOptions Options => QuantizePreset.Default.Apply(
        SampleModel.Quick(Path.Combine(_folder, "out", "model.onnx")) with { Windows = 8 });

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Gives_the_same_bytes_on_1_2_and_8_threads_and_after_a_resume()
    {
        string Hash(QuantizeOptions options) => Convert.ToHexString(
            SHA256.HashData([.. File.ReadAllBytes(Run(options).Output), .. File.ReadAllBytes(options.OutputPath + ".data")]));
        string expected = Hash(Options with { Threads = 1 });
        Assert.Equal(expected, Hash(Options with { Threads = 2 }));
        QuantizeOptions kept = Options with { Threads = 8, WorkFolder = Path.Combine(_folder, "work") };
        Assert.Equal(expected, Hash(kept));

        // Without its later part the work folder is that of a run that was stopped.
        FileInfo[] layers = [.. new DirectoryInfo(kept.WorkFolder!).GetFiles().OrderBy(file => file.LastWriteTimeUtc)];
        Array.ForEach(layers[(layers.Length / 3)..], file => file.Delete());
        Assert.Equal(expected, Hash(kept with { Threads = 2 }));
    }

    [Fact]
    public void Rotates_some_stages_and_moves_some_layers()
    {
        QuantizeReport report = Run(Options);
        Assert.Contains(report.Layers, layer => layer.Rotation > 0);
        Assert.Contains(report.Layers, layer => layer.Ridge is not null);
    }

    /// <summary>The system reports what is read in a folder; that the calibration text is shows that it does.</summary>
    [LinuxFact]
    public void Never_reads_the_evaluation_text_beside_the_calibration_text()
    {
        string calibration = Path.Combine(_folder, "calibration.txt");
        File.Copy(SampleModel.Calibration, calibration);
        File.Copy(SampleModel.Evaluation, Path.Combine(_folder, "evaluation.txt"));
        var read = new ConcurrentDictionary<string, bool>();
        using var watcher = new FileSystemWatcher(_folder) { NotifyFilter = NotifyFilters.LastAccess };
        watcher.Changed += (_, change) => read[change.Name!] = true;
        watcher.EnableRaisingEvents = true;
        Run(Options with { CalibrationPath = calibration });
        SpinWait.SpinUntil(() => read.ContainsKey("calibration.txt"), TimeSpan.FromSeconds(10));
        Assert.Contains("calibration.txt", read.Keys);
        Assert.DoesNotContain("evaluation.txt", read.Keys);
    }

    private static QuantizeReport Run(QuantizeOptions options) => QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None);
}
