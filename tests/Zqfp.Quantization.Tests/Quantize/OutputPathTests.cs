namespace Zqfp.Quantization.Tests;

/// <summary>No input is ever overwritten, however its path is written.</summary>
public sealed class OutputPathTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void An_output_that_is_an_input_is_refused_by_itself_by_its_data_and_through_a_link()
    {
        string model = Path.Combine(_folder, "real", "model.onnx");
        string tokenizer = Path.Combine(_folder, "tokenizer.onnx.data");
        Directory.CreateDirectory(Path.GetDirectoryName(model)!);
        File.Copy(SampleModel.Model, model);
        File.WriteAllText(tokenizer, "tokenizer");
        Directory.CreateSymbolicLink(Path.Combine(_folder, "link"), Path.Combine(_folder, "real"));
        foreach (string output in new[] { model, Path.Combine(_folder, "link", "model.onnx"), Path.Combine(
            _folder, "tokenizer.onnx"), tokenizer })
        {
            var options = new QuantizeOptions
            {
                ModelPath = model,
                OutputPath = output,
                TokenizerPath = tokenizer,
                CalibrationPath = SampleModel.Calibration,
            };
            ZqfpException error =
                Assert.Throws<ZqfpException>(() => QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None));
            Assert.Equal("ZQFP0003", error.Code);
        }

        Assert.Equal(File.ReadAllBytes(SampleModel.Model), File.ReadAllBytes(model));
        Assert.Equal("tokenizer", File.ReadAllText(tokenizer));
    }
}
