namespace Zqfp.Build.Tasks.Tests;

public sealed class MetadataPlaceTests : IDisposable
{
    private const string Project = """
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <ZqfpRank>four</ZqfpRank>
          </PropertyGroup>
          <ItemGroup>
            <ZqfpModel Include="a.onnx" Weights="fp8" />
            <ZqfpModel Include="b.onnx"
                       Weights="fp5">
              <Method>$(Chosen)</Method>
            </ZqfpModel>
          </ItemGroup>
        </Project>
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("Weights", "fp5", 8, 16)]
    [InlineData("weights", "fp8", 6, 33)]
    [InlineData("Weights", "fp6", 0, 0)]
    [InlineData("Method", "magic", 9, 8)]
    [InlineData("Rank", "four", 3, 6)]
    [InlineData("Window", "1", 0, 0)]
    public void A_piece_of_metadata_or_its_property_has_a_line_and_a_column(string metadata, string value, int line, int column)
    {
        string project = _folder.Write("p.csproj", Project);
        MetadataPlace place = MetadataPlace.Find(project, metadata, value);
        Assert.Equal((project, line, column), (place.File, place.Line, place.Column));
    }

    [Theory]
    [InlineData("p.csproj", "<Project>")]
    [InlineData("other.csproj", null)]
    public void A_project_that_cannot_be_read_is_named_without_a_line(string name, string? content)
    {
        string project = content is null ? Path.Combine(_folder.Path, name) : _folder.Write(name, content);
        Assert.Equal(
            (project, 0), (MetadataPlace.Find(project, "Weights", "fp5").File, MetadataPlace.Find(project, "Weights", "fp5").Line));
    }
}
