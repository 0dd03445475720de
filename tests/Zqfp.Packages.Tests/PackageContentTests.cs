using System.IO.Compression;

namespace Zqfp.Packages.Tests;

/// <summary>What is in the packages, and that the tool's can be installed.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class PackageContentTests(PackagesFixture packages)
{
    [Theory]
    [InlineData("Zqfp.Build.Tasks")]
    [InlineData("dotnet-zqfp")]
    [InlineData("Zqfp.CudaOps")]
    [InlineData("Zqfp.OnnxRuntime")]
    public void The_files_are_as_agreed(string id)
    {
        using ZipArchive package = ZipFile.OpenRead(Package(id));
        string actual = string.Concat(package.Entries
            .Select(entry => entry.FullName)
            .Where(name => !name.StartsWith("_rels/", StringComparison.Ordinal) && !name.StartsWith("package/", StringComparison.Ordinal) && !name.Contains("runtimes/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .Select(name => name + "\n"));
        string snapshot = Repository.Path($"tests/Zqfp.Packages.Tests/Snapshots/{id}.txt");
        if (Environment.GetEnvironmentVariable("ZQFP_UPDATE_SNAPSHOTS") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(snapshot)!);
            File.WriteAllText(snapshot, actual);
        }

        Assert.Equal(File.ReadAllText(snapshot), actual);
    }

    [Theory]
    [InlineData("Zqfp.Build.Tasks")]
    [InlineData("dotnet-zqfp")]
    public void The_native_library_is_inside_and_nothing_else_of_this_machine(string id)
    {
        using ZipArchive package = ZipFile.OpenRead(Package(id));
        string[] native = [.. package.Entries.Select(entry => entry.FullName).Where(name => name.Contains("/runtimes/", StringComparison.Ordinal))];

        Assert.NotEmpty(native);
        Assert.All(native, name => Assert.Matches("^tools/net10.0/any/runtimes/[^/]+/native/[^/]*onnxruntime[^/]*$", name));
    }

    /// <summary>Besides ONNX Runtime, whose size is not ours. What they have is told in docs/build-integration.md.</summary>
    [Theory]
    [InlineData("Zqfp.Build.Tasks", 3_000_000)]
    [InlineData("dotnet-zqfp", 3_000_000)]
    [InlineData("Zqfp.CudaOps", 3_000_000)]
    [InlineData("Zqfp.OnnxRuntime", 100_000)]
    public void The_packages_stay_small(string id, long most)
    {
        using ZipArchive package = ZipFile.OpenRead(Package(id));

        Assert.InRange(package.Entries.Where(entry => !entry.FullName.Contains("onnxruntime.", StringComparison.Ordinal)).Sum(entry => entry.CompressedLength), 1, most);
    }

    [Fact]
    public void The_build_package_depends_on_nothing()
    {
        using ZipArchive package = ZipFile.OpenRead(Package("Zqfp.Build.Tasks"));
        using var reader = new StreamReader(package.GetEntry("Zqfp.Build.Tasks.nuspec")!.Open());
        string nuspec = reader.ReadToEnd();

        Assert.DoesNotContain("<dependency ", nuspec, StringComparison.Ordinal);
        Assert.Contains("<developmentDependency>true</developmentDependency>", nuspec, StringComparison.Ordinal);
    }

    [Fact]
    public void The_tool_installs_from_the_feed_and_runs()
    {
        TestProject project = packages.CreateProject("tool");
        project.Run("new", "tool-manifest").Succeeded();
        project.Run("tool", "install", "dotnet-zqfp").Succeeded();
        DotNetResult result = project.Run("zqfp", "evaluate", "model/model.onnx", "--text", "data/evaluation.txt", "--tokenizer", "model/tokenizer.json", "--windows", "1", "--json").Succeeded();

        Assert.Contains("\"perplexity\": ", result.Output, StringComparison.Ordinal);
    }

    private string Package(string id) => Directory.GetFiles(packages.Feed, $"{id}.*.nupkg").Single();
}
