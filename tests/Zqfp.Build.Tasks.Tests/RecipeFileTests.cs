namespace Zqfp.Build.Tasks.Tests;

public sealed class RecipeFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Keys_are_the_metadata_in_camel_case_lists_are_joined_and_paths_start_at_the_recipe()
    {
        string path = _folder.Write(
            "sub/zqfp.json", """{ "$schema": "s", "rank": 16, "maxPerplexityIncrease": "5%", "excludeLayers": ["\u0061", "b"] }""");
        Assert.Equal(
            new Dictionary<string, string> { ["Rank"] = "16", ["MaxPerplexityIncrease"] = "5%", ["ExcludeLayers"] = "a;b" },
            RecipeFile.Read(path));
        Assert.Equal(
            Path.Combine(_folder.Path, "data", "c.txt"),
            RecipeFile.Read(_folder.Write("sub/other.json", """{ "calibration": "../data/c.txt" }"""))["Calibration"]);
    }

    [Fact]
    public void A_byte_order_mark_is_no_part_of_the_recipe() =>
        Assert.Equal("16", RecipeFile.Read(_folder.Write("zqfp.json", "\uFEFF{ \"rank\": 16 }"))["Rank"]);

    [Fact]
    public void A_comma_may_end_a_recipe_as_for_the_tool() =>
        Assert.Equal("16", RecipeFile.Read(_folder.Write("zqfp.json", "{ \"rank\": 16, }"))["Rank"]);

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("3")]
    [InlineData("{ \"rank\": true }")]
    [InlineData("{ \"rank\": [1, 2] }")]
    [InlineData("{ \"Rank\": 3 }")]
    [InlineData("{ \"rank\": 3")]
    public void What_is_no_recipe_is_refused(string content) =>
        Assert.Throws<FormatException>(() => RecipeFile.Read(_folder.Write("zqfp.json", content)));

    [Theory]
    [InlineData("{ \"ranks\": 3 }", "'ranks' is no option. Did you mean 'rank'?")]
    [InlineData("{ \"rank\": 3, \"weights\": \"fp4\", \"rank\": 4 }", "'rank' is there twice.")]
    [InlineData("{ \"tokenizer\": \"\" }", "'tokenizer' names a file; '' is none.")]
    [InlineData("{ \"calibration\": \"a\\u0000b\" }", "'calibration' has a character that no argument and no path can have, U+0000.")]
    [InlineData("{ \"maxPerplexityIncrease\": 5 }", "'maxPerplexityIncrease' is a percentage such as 5%, not '5'.")]
    [InlineData("{ \"layerOverrides\": [\"a:rank=x\"] }",
        "'layerOverrides' sets format (fp4, fp8, mxfp4, mxfp8, fp8-block, int4, int8, e3m0, e5m2, float), group-size or rank, "
        + "not 'rank=x'.")]
    public void A_mistake_is_told_by_its_key(string content, string expected) =>
        Assert.Equal(expected, Assert.Throws<FormatException>(() => RecipeFile.Read(_folder.Write("zqfp.json", content))).Message);
}
