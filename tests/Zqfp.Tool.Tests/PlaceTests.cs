namespace Zqfp.Tool.Tests;

/// <summary>
/// What a command cannot write or read because of where it is: told at once, by the user's own path and the option to change.
/// </summary>
public sealed class PlaceTests : IDisposable
{
    private static readonly string Case = Repository.Path("tests/Cases/base");

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-place-").FullName;

    public PlaceTests()
    {
        File.WriteAllText(Path.Combine(_folder, "file"), "x");
        Directory.CreateDirectory(Path.Combine(_folder, "folder"));
        File.Copy(Path.Combine(Case, "model.onnx"), Path.Combine(_folder, "q.onnx"));
    }

    private static string Model => Path.Combine(Case, "model.onnx");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("ZQFP0002", "--output", "quantize", "-o", "file/m.onnx")]
    [InlineData("ZQFP0002", "--output", "plan", "-o", "file/m.onnx")]
    [InlineData("ZQFP0002", "folder", "plan", "-o", "folder")]
    [InlineData("ZQFP0002", "--result", "quantize", "-o", "m.onnx", "--result", "file/r.json")]
    [InlineData("ZQFP0002", "--result", "quantize", "-o", "m.onnx", "--dry-run", "--result", "file/r.json")]
    [InlineData("ZQFP0002", "--result", "gate", "--result", "file/r.json")]
    [InlineData("ZQFP0007", "--work", "quantize", "-o", "m.onnx", "--work", "file")]
    [InlineData("ZQFP0007", "--work", "plan", "--work", "file")]
    [InlineData("ZQFP0007", "--cache", "gate", "--cache", "file")]
    [InlineData("ZQFP0007", "--cache", "evaluate", "--cache", "file")]
    [InlineData("ZQFP0002", "--output", "sweep", "-o", "file")]
    [InlineData("ZQFP0013", "is a folder", "gate", "--baseline", "folder")]
    [InlineData("ZQFP0013", "is a file", "gate", "--baseline", "file/b.json", "--update-baseline")]
    [InlineData("ZQFP0012", "is a folder", "quantize", "-o", "m.onnx", "--recipe", "folder")]
    [InlineData("ZQFP0001", "is a folder", "gate", "--against", "folder")]
    [InlineData("ZQFP0135", "is a folder", "evaluate", "--task", "folder")]
    public void A_wrong_place_is_one_error_before_the_work(string code, string named, params string[] command)
    {
        ToolProcess result = ToolProcess.Run([.. Complete(command)]);

        string error = Assert.Single(result.Errors);
        Assert.Contains($"error {code}: ", error, StringComparison.Ordinal);
        Assert.Contains(named, error, StringComparison.Ordinal);
        Assert.DoesNotContain(".tmp", error, StringComparison.Ordinal);
        Assert.True(error.Split("Choose another").Length <= 2, error);
        Assert.DoesNotContain("warning", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Evaluating", result.Error, StringComparison.Ordinal);
        Assert.Equal((10, ""), (result.ExitCode, result.Output));
        Assert.Equal(["file", "folder", "q.onnx"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName).Order());
    }

    [UnixFact]
    public void A_place_that_takes_no_file_is_named_as_the_user_named_it()
    {
        foreach ((string code, string[] command) in ((string, string[])[])[
            ("ZQFP0002", ["quantize", "-o", "/proc/m.onnx"]), ("ZQFP0002", ["plan", "-o", "/proc/m.onnx"]),
            ("ZQFP0002", ["gate", "--result", "/proc/r.json"]), ("ZQFP0007", ["quantize", "-o", "m.onnx", "--work", "/proc/w"]),
            ("ZQFP0002", ["sweep", "-o", "/proc/s"])])
        {
            string error = Assert.Single(ToolProcess.Run([.. Complete(command)]).Errors);
            Assert.Contains($"error {code}: ", error, StringComparison.Ordinal);
            Assert.Contains("No file can be created in '/proc'.", error, StringComparison.Ordinal);
            Assert.DoesNotContain(".zqfp", error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Data_that_is_a_folder_is_told_so()
    {
        string model = Path.Combine(_folder, "m.onnx");
        Assert.Equal(0, ToolProcess.Run("quantize", Model, "-o", model, "--method", "rtn", "--preset", "paper", "-q").ExitCode);
        File.Delete(model + ".data");
        Directory.CreateDirectory(model + ".data");

        string error = Assert.Single(ToolProcess.Run("inspect", model).Errors);
        Assert.Contains("ZQFP1002", error, StringComparison.Ordinal);
        Assert.Contains("is a folder", error, StringComparison.Ordinal);
    }

    /// <summary>The command with a model and texts, and with paths of this test's folder.</summary>
    private IEnumerable<string> Complete(string[] command)
    {
        IEnumerable<string> given = command[1..].Select(word =>
            word.StartsWith('-') || word.StartsWith('/') ? word : Path.Combine(_folder, word));
        string calibration = Path.Combine(Case, "cal.i16");
        string text = Path.Combine(Case, "eval.i16");
        string[] more = command[0] switch
        {
            "quantize" or "plan" => ["--calibration", calibration],
            "sweep" => ["--calibration", calibration, "--text", text],
            "gate" => command.Contains("--against") ? ["--text", text] : ["--text", text, "--against", Model],
            _ => command.Contains("--task") ? [] : ["--text", text],
        };
        return [command[0], command[0] == "gate" ? Path.Combine(_folder, "q.onnx") : Model, .. given, .. more, "--window", "32"];
    }
}
