using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks.Tests;

public sealed class PrepareZqfpModelsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly BuildEngine _engine = new();

    public PrepareZqfpModelsTests()
    {
        _folder.Write("model/m.onnx", "");
        _folder.Write("model/tokenizer.json", "{}");
        _folder.Write("calibration.txt", "text");
        _folder.Write("tool/dotnet-zqfp.dll", "tool");
        _folder.Write("tool/Library.dll", "library");
    }

    private string QuantizeInputs => File.ReadAllText(Path.Combine(_folder.Path, "obj/model/m.onnx/quantize.inputs"));

    private string GateInputs => File.ReadAllText(Path.Combine(_folder.Path, "obj/model/m.onnx/gate.inputs"));

    [Fact]
    public void Relative_paths_start_at_the_project()
    {
        ITaskItem model = Assert.Single(Run(Model()).PreparedModels);

        Assert.Equal(Path.Combine(_folder.Path, "model", "m.onnx"), model.ItemSpec);
        Assert.Equal(Path.Combine(_folder.Path, "model", "tokenizer.json"), model.GetMetadata("Tokenizer"));
        Assert.Equal(Path.Combine(_folder.Path, "obj", "model", "m.onnx", "m.onnx"), model.GetMetadata("QuantizedModel"));
    }

    [Fact]
    public void A_property_from_the_command_line_overrides_the_metadata()
    {
        _engine.GlobalProperties["zqfpmaxPerplexityIncrease"] = "1%";

        ITaskItem model = Assert.Single(Run(Model(("MaxPerplexityIncrease", "5%"), ("Rank", "4"))).PreparedModels);

        Assert.Equal("1%", model.GetMetadata("MaxPerplexityIncrease"));
        Assert.Equal("4", model.GetMetadata("Rank"));
    }

    [Fact]
    public void Spaces_around_a_value_are_none_of_it_but_those_of_a_text_are()
    {
        ITaskItem model =
            Assert.Single(Run(Model(("Rank", " 4 "), ("DocumentSeparator", "\n\n"), ("DocumentMarker", " * "))).PreparedModels);

        Assert.Equal(
            ("4", "\n\n", " * "), (model.GetMetadata("Rank"), model.GetMetadata("DocumentSeparator"), model.GetMetadata("DocumentMarker")));
    }

    [Fact]
    public void A_recipe_gives_what_neither_the_item_nor_the_command_line_says()
    {
        _folder.Write("recipes/zqfp.json",
            """{ "tokenizer": "../model/tokenizer.json", "rank": 16, "weights": "fp8", "window": 64, "layerOverrides": ["a:rank=1", "b:rank=2"] }""");
        _engine.GlobalProperties["ZqfpWindow"] = "128";

        ITaskItem model = Assert.Single(Run(Model(("Tokenizer", ""), ("Recipe", "recipes/zqfp.json"), ("Rank", "4"))).PreparedModels);

        Assert.Equal(Path.Combine(_folder.Path, "model", "tokenizer.json"), model.GetMetadata("Tokenizer"));
        Assert.Equal(("4", "fp8", "128", "a:rank=1;b:rank=2"),
            (model.GetMetadata("Rank"), model.GetMetadata("Weights"), model.GetMetadata("Window"), model.GetMetadata("LayerOverrides")));
    }

    [Fact]
    public void A_recipe_that_cannot_be_used_is_an_error_with_its_name()
    {
        string recipe = _folder.Write("zqfp.json", "{ \"ranks\": 3 }");
        Run(Model(("Recipe", "zqfp.json")));
        Assert.Equal(("ZQFP0012", recipe), (_engine.Errors.Single().Code, _engine.Errors.Single().File));
    }

    [Fact]
    public void Only_models_with_an_evaluation_text_are_gated()
    {
        Assert.Empty(Run(Model()).GatedModels);
        Assert.Single(Run(Model(("Evaluation", "calibration.txt"))).GatedModels);
    }

    [Theory]
    [InlineData("", 1)]
    [InlineData("true", 1)]
    [InlineData("False", 0)]
    public void Reports_are_made_unless_they_are_switched_off(string value, int expected)
    {
        ITaskItem[] reported = Run(Model(("Report", value), ("Evaluation", "calibration.txt"))).ReportedModels;

        Assert.Equal(expected, reported.Length);
        Assert.All(reported, model => Assert.Equal(["m.onnx.report.html", "m.onnx.report.md", "m.onnx.report.json"],
            ((ITaskItem2)model).GetMetadataValueEscaped("ReportFiles").Split(';').Select(Path.GetFileName)));
    }

    [Fact]
    public void A_model_without_a_gate_has_no_result_of_one() => Assert.Equal(
        "", Run(Model()).ReportedModels.Single().GetMetadata("GateResult"));

    [Theory]
    [InlineData("Weights", "int8", true)]
    [InlineData("Windows", "4", true)]
    [InlineData("LayerOverrides", "up*:rank=4;down*:format=float", true)]
    [InlineData("CalibrateOn", "float", true)]
    [InlineData("MaxPerplexityIncrease", "3%", false)]
    [InlineData("EvaluationWindows", "4", false)]
    [InlineData("Evaluation", "model/tokenizer.json", false)]
    public void An_option_makes_stale_what_depends_on_it(string metadata, string value, bool quantization)
    {
        Run(Model());
        (string quantize, string gate) before = (QuantizeInputs, GateInputs);
        Run(Model((metadata, value)));

        Assert.Equal(quantization, before.quantize != QuantizeInputs);
        Assert.NotEqual(before.gate, GateInputs);
    }

    [Theory]
    [InlineData("model/m.onnx")]
    [InlineData("model/tokenizer.json")]
    [InlineData("calibration.txt")]
    [InlineData("tool/dotnet-zqfp.dll")]
    [InlineData("tool/Library.dll")]
    public void The_content_of_an_input_makes_everything_stale(string file)
    {
        Run(Model());
        (string quantize, string gate) before = (QuantizeInputs, GateInputs);
        _folder.Write(file, "something else");
        Run(Model());

        Assert.NotEqual(before.quantize, QuantizeInputs);
        Assert.NotEqual(before.gate, GateInputs);
    }

    [Fact]
    public void Nothing_is_written_when_nothing_changed()
    {
        Run(Model());
        string[] files = Directory.GetFiles(Path.Combine(_folder.Path, "obj"), "*", SearchOption.AllDirectories);
        var old = new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        Array.ForEach(files, file => File.SetLastWriteTimeUtc(file, old));
        File.SetLastWriteTimeUtc(Path.Combine(_folder.Path, "model/m.onnx"), DateTime.UtcNow.AddMinutes(1));
        Run(Model());

        Assert.All(files.Where(file => !file.EndsWith("files.cache", StringComparison.Ordinal)),
            file => Assert.Equal(old, File.GetLastWriteTimeUtc(file)));
    }

    [Fact]
    public void The_inputs_name_no_place()
    {
        Run(Model(("Evaluation", "calibration.txt")));

        Assert.DoesNotContain(_folder.Path, QuantizeInputs + GateInputs, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Tokenizer")]
    [InlineData("Calibration")]
    public void A_model_without_what_it_needs_is_one_coded_error(string missing)
    {
        Run(Model((missing, "")));

        BuildErrorEventArgs error = Assert.Single(_engine.Errors);
        Assert.Equal("ZQFP0901", error.Code);
        Assert.Contains(missing, error.Message, StringComparison.Ordinal);
        Assert.Equal(Path.Combine(_folder.Path, "model", "m.onnx"), error.File);
    }

    [Fact]
    public void Two_models_in_one_place_are_one_coded_error()
    {
        Run(Model(), Model());

        Assert.Equal("ZQFP0902", Assert.Single(_engine.Errors).Code);
    }

    [Fact]
    public void Further_profiles_are_files_beside_the_model()
    {
        ITaskItem model = Assert.Single(Run(Model(("Profile", "portable, custom;qdq"))).PreparedModels);

        // MSBuild splits the escaped value: the folder's own name may hold a semicolon.
        string[] files = ((ITaskItem2)model).GetMetadataValueEscaped("FurtherFiles").Split(';');
        Assert.Equal(["m.custom.onnx", "m.custom.onnx.data", "m.qdq.onnx", "m.qdq.onnx.data"], files.Select(Path.GetFileName));
        Assert.All(
            files, file => Assert.EndsWith("/obj/model/m.onnx", Path.GetDirectoryName(file)!.Replace('\\', '/'), StringComparison.Ordinal));
        Assert.Equal("", Assert.Single(Run(Model(("Profile", "qdq"))).PreparedModels).GetMetadata("FurtherFiles"));
    }

    [Theory]
    [InlineData("qdq", "custom", false)]
    [InlineData("qdq,portable", "custom; portable", false)]
    [InlineData("qdq", "custom;portable", true)]
    [InlineData("custom,portable", "custom", true)]
    public void Other_files_than_the_projects_are_one_coded_error(string property, string metadata, bool isRefused)
    {
        _engine.GlobalProperties["ZqfpProfile"] = property;
        Run(Model(("Profile", metadata)));

        Assert.Equal(isRefused ? ["ZQFP0906"] : [], _engine.Errors.Select(error => error.Code));
    }

    [Theory]
    [InlineData("MaxPerplexityIncreese",
        "'MaxPerplexityIncreese' of the ZqfpModel 'model/m.onnx' is no option. Did you mean 'MaxPerplexityIncrease'?")]
    [InlineData("Wights", "Did you mean 'Weights'?")]
    [InlineData("Banana", "'Banana' of the ZqfpModel 'model/m.onnx' is no option. Metadata of your own targets begins with an underscore.")]
    public void Metadata_that_is_no_option_is_one_coded_error(string name, string expected)
    {
        Run(Model((name, "5%")));

        BuildErrorEventArgs error = Assert.Single(_engine.Errors);
        Assert.Equal("ZQFP0015", error.Code);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("CopyToOutputDirectory")]
    [InlineData("Visible")]
    [InlineData("visible")]
    [InlineData("_MyTag")]
    [InlineData("PublishReport")]
    public void Metadata_of_the_SDK_and_of_the_project_itself_passes(string name)
    {
        Run(Model((name, "false")));

        Assert.Empty(_engine.Errors);
    }

    [Fact]
    public void A_wrong_value_is_told_by_its_metadata_and_not_by_an_option_of_the_command_line()
    {
        Run(Model(("MaxPerplexityIncrease", "5"), ("IncludeLayers", "*"), ("LayerOverrides", "a:rank=1;b:rank=x")));

        Assert.Equal(["ZQFP0016", "ZQFP0016"], _engine.Errors.Select(error => error.Code));
        Assert.Contains(_engine.Errors,
            error => error.Message == "MaxPerplexityIncrease of the ZqfpModel 'model/m.onnx' is a percentage such as 5%, not '5'.");
        Assert.Contains(_engine.Errors,
            error => error.Message!.StartsWith("LayerOverrides of the ZqfpModel 'model/m.onnx' sets format", StringComparison.Ordinal));
    }

    [Fact]
    public void A_wrong_value_of_the_builds_own_property_is_told_by_that()
    {
        _engine.GlobalProperties["ZqfpRank"] = "big";
        Run(Model(("Rank", "8")));

        Assert.Equal("the property ZqfpRank, given to this build, is a whole number of at least 0, not 'big'.",
            Assert.Single(_engine.Errors).Message);
    }

    [Fact]
    public void A_missing_tool_is_one_coded_error()
    {
        File.Delete(Path.Combine(_folder.Path, "tool", "dotnet-zqfp.dll"));
        Run(Model());

        Assert.Equal("ZQFP0903", Assert.Single(_engine.Errors).Code);
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_one_coded_error()
    {
        _folder.Write("obj", "a file where the folder should be");
        Run(Model());

        Assert.Equal("ZQFP0905", Assert.Single(_engine.Errors).Code);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Whatever a clock says, and whenever a build began that ended after these inputs were written.</summary>
    [Fact]
    public void A_stamp_of_other_inputs_goes_and_one_of_these_is_newer_than_they_are()
    {
        foreach (string step in new[] { "Quantize", "Gate" })
        {
            ITaskItem model = Assert.Single(Run(Model(("Rank", "4"))).PreparedModels);
            string stamp = _folder.Write($"obj/model/m.onnx/{step.ToLowerInvariant()}.stamp", model.GetMetadata(step + "Key"));
            string inputs = model.GetMetadata(step + "Inputs");
            File.SetLastWriteTimeUtc(inputs, DateTime.UtcNow.AddYears(1));
            Run(Model(("Rank", "4")));
            Assert.True(File.GetLastWriteTimeUtc(inputs) < File.GetLastWriteTimeUtc(stamp));

            File.SetLastWriteTimeUtc(stamp, DateTime.UtcNow.AddYears(1));
            Run(Model(("Rank", "8")));
            Assert.False(File.Exists(stamp));
        }
    }

    private static TaskItem Model(params (string Name, string Value)[] metadata)
    {
        var item = new TaskItem("model/m.onnx");
        item.SetMetadata("Link", "model/m.onnx");
        item.SetMetadata("Tokenizer", "model/tokenizer.json");
        item.SetMetadata("Calibration", "calibration.txt");
        foreach ((string name, string value) in metadata)
        {
            item.SetMetadata(name, value);
        }

        return item;
    }

    private PrepareZqfpModels Run(params ITaskItem[] models)
    {
        var task = new PrepareZqfpModels
        {
            BuildEngine = _engine,
            Models = models,
            ProjectDirectory = _folder.Path,
            IntermediateFolder = "obj",
            ToolAssembly = Path.Combine(_folder.Path, "tool", "dotnet-zqfp.dll"),
        };
        Assert.Equal(task.Execute(), _engine.Errors.Count == 0);
        return task;
    }
}
