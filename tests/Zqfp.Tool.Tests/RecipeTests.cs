namespace Zqfp.Tool.Tests;

public sealed class RecipeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_recipe_stands_for_the_options_of_the_command_and_paths_start_at_its_folder()
    {
        string recipe =
            Write(
                """{ "$schema": "x", "calibration": "data/c.txt", "rank": 16, "includeLayers": ["a*", "b"], "maxPerplexityIncrease": "5%", "window": 128 }""");
        Assert.Equal(
            ["quantize", "m.onnx", "--recipe", recipe, $"--calibration={Path.Combine(_folder, "data/c.txt")}",
                "--rank=16", "--include=a*", "--include=b", "--window=128"],
            RecipeOptions.Expand(["quantize", "m.onnx", "--recipe", recipe]));
        Assert.Equal(
            ["gate", $"--recipe={recipe}", "--max-increase=5%", "--window=128"],
            RecipeOptions.Expand(["gate", $"--recipe={recipe}"]));
    }

    [Fact]
    public void What_the_command_line_says_wins()
    {
        string recipe = Write("""{ "rank": 16, "weights": "fp8", "groupSize": 64 }""");
        Assert.Equal(
            ["plan", "--rank", "4", "--recipe", recipe, "--group-size=128", "--weights=fp8"],
            RecipeOptions.Expand(["plan", "--rank", "4", "--recipe", recipe, "--group-size=128"]));
    }

    [Fact]
    public void A_colon_stands_for_an_equals_sign()
    {
        string recipe = Write("""{ "rank": 16, "weights": "fp8" }""");
        Assert.Equal(["plan", $"--recipe:{recipe}", "--rank:4", "--weights=fp8"],
            RecipeOptions.Expand(["plan", $"--recipe:{recipe}", "--rank:4"]));
    }

    [Fact]
    public void A_comma_may_end_a_recipe_as_in_a_build() =>
        Assert.Equal("--rank=16", RecipeOptions.Expand(["plan", "--recipe", Write("{ \"rank\": 16, }")])[^1]);

    [Fact]
    public void Commands_without_recipes_are_left_alone() =>
        Assert.Equal(["evaluate", "--recipe", "none.json"], RecipeOptions.Expand(["evaluate", "--recipe", "none.json"]));

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{ \"rank\": true }")]
    [InlineData("{ \"rank\": { } }")]
    [InlineData("{ \"ranks\": 3 }")]
    [InlineData("{ \"rank\": 3")]
    [InlineData("{ \"includeLayers\": [\"\\ud800\"] }")]
    public void What_is_no_recipe_is_refused_with_its_name(string content)
    {
        string recipe = Write(content);
        ZqfpException diagnostic = Assert.Throws<ZqfpException>(() => RecipeOptions.Expand(["quantize", "--recipe", recipe]));
        Assert.Equal(("ZQFP0012", recipe), (diagnostic.Code, diagnostic.File));
    }

    [Fact]
    public void A_recipe_that_is_missing_is_an_error_of_the_tool_with_its_exit_code()
    {
        ToolProcess result = ToolProcess.Run("quantize", "m.onnx", "-o", "q.onnx", "--recipe", Path.Combine(_folder, "none.json"));
        Assert.Equal(10, result.ExitCode);
        Assert.Contains("ZQFP0012", Assert.Single(result.Errors), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{ \"ranks\": 3 }", "'ranks' is no option. Did you mean 'rank'?")]
    [InlineData("{ \"rank\": 3, \"weights\": \"fp4\", \"rank\": 4 }", "'rank' is there twice.")]
    [InlineData("{ \"tokenizer\": \"\" }", "'tokenizer' names a file; '' is none.")]
    [InlineData("{ \"calibration\": \"a\\u0000b\" }", "'calibration' has a character that no argument and no path can have, U+0000.")]
    [InlineData("{ \"maxPerplexityIncrease\": 5 }", "'maxPerplexityIncrease' is a percentage such as 5%, not '5'.")]
    public void A_mistake_is_told_by_its_key_and_not_by_an_option_of_the_command_line(string content, string expected)
    {
        ZqfpException mistake = Assert.Throws<ZqfpException>(() => RecipeOptions.Expand(["gate", "--recipe", Write(content)]));
        Assert.Contains(expected, mistake.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_schema_that_the_tool_prints_is_the_file_that_the_package_has() =>
        Assert.Equal(File.ReadAllText(Repository.Path("src/Zqfp.Tool/zqfp.schema.json")), ToolProcess.Run("schema").Output);

    private string Write(string content)
    {
        string path = Path.Combine(_folder, "zqfp.json");
        File.WriteAllText(path, content);
        return path;
    }
}
