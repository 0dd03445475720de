using System.Text.Json;

namespace Zqfp.Build.Tasks.Tests;

public sealed class RecipeFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Keys_are_the_metadata_in_camel_case_lists_are_joined_and_paths_start_at_the_recipe()
    {
        string path = _folder.File("sub/zqfp.json", """{ "$schema": "s", "rank": 16, "maxPerplexityIncrease": "5%", "excludeLayers": ["\u0061", "b"] }""");
        Assert.Equal(
            new Dictionary<string, string> { ["Rank"] = "16", ["MaxPerplexityIncrease"] = "5%", ["ExcludeLayers"] = "a;b" },
            RecipeFile.Read(path));
        Assert.Equal(
            Path.Combine(_folder.Path, "data", "c.txt"),
            RecipeFile.Read(_folder.File("sub/other.json", """{ "calibration": "../data/c.txt" }"""))["Calibration"]);
    }

    [Fact]
    public void A_byte_order_mark_is_no_part_of_the_recipe() =>
        Assert.Equal("16", RecipeFile.Read(_folder.File("zqfp.json", "\uFEFF{ \"rank\": 16 }"))["Rank"]);

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("3")]
    [InlineData("{ \"rank\": true }")]
    [InlineData("{ \"rank\": [1, 2] }")]
    [InlineData("{ \"Rank\": 3 }")]
    [InlineData("{ \"rank\": 3")]
    public void What_is_no_recipe_is_refused(string content) =>
        Assert.Throws<FormatException>(() => RecipeFile.Read(_folder.File("zqfp.json", content)));

    [Fact]
    public void The_schema_knows_the_same_keys()
    {
        using var schema = JsonDocument.Parse(File.ReadAllText(Repository.Path("src/Zqfp.Tool/zqfp.schema.json")));
        Assert.Equal(
            ModelOption.All.Select(option => RecipeFile.CamelCase(option.Metadata)).Append("$schema").Order(),
            schema.RootElement.GetProperty("properties").EnumerateObject().Select(property => property.Name).Order());
    }
}
