using System.IO.Compression;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;

namespace Zqfp.Packages.Tests;

/// <summary>What is in the packages, and that the tool's can be installed.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class PackageContentTests(PackagesFixture packages)
{
    [Theory]
    [InlineData("Zqfp.Build.Tasks")]
    [InlineData("dotnet-zqfp")]
    [InlineData("dotnet-zqfp.any")]
    [InlineData("Zqfp.CudaOps")]
    [InlineData("Zqfp.Core")]
    [InlineData("Zqfp.Numerics")]
    [InlineData("Zqfp.Tokenizers")]
    public void The_files_are_as_agreed(string id)
    {
        using ZipArchive package = ZipFile.OpenRead(Package(id));
        string actual = string.Concat(package.Entries
            .Select(entry => entry.FullName)
            .Where(name => !name.StartsWith("_rels/", StringComparison.Ordinal) && !name.StartsWith("package/", StringComparison.Ordinal)
                && !name.Contains("runtimes/", StringComparison.Ordinal))
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

    [Fact]
    public void Packing_compiles_nothing_that_was_built() => Assert.True(packages.LeavesToolAsBuilt);

    [Fact]
    public void The_build_package_has_the_runtime_of_every_platform_and_no_execution_provider()
    {
        string[] native = [.. Entries("Zqfp.Build.Tasks")
            .Where(name => name.Contains("/runtimes/", StringComparison.Ordinal) && name.Contains("onnxruntime", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)];

        Assert.Equal(
            [
                "tools/net10.0/any/runtimes/linux-arm64/native/libonnxruntime.so",
                "tools/net10.0/any/runtimes/linux-x64/native/libonnxruntime.so",
                "tools/net10.0/any/runtimes/osx-arm64/native/libonnxruntime.dylib",
                "tools/net10.0/any/runtimes/win-arm64/native/onnxruntime.dll",
                "tools/net10.0/any/runtimes/win-x64/native/onnxruntime.dll",
            ],
            native);
    }

    [Theory]
    [InlineData("linux-x64", "libonnxruntime.so")]
    [InlineData("linux-arm64", "libonnxruntime.so")]
    [InlineData("win-x64", "onnxruntime.dll")]
    [InlineData("win-arm64", "onnxruntime.dll")]
    [InlineData("osx-arm64", "libonnxruntime.dylib")]
    [InlineData("any", null)]
    public void The_tool_of_a_platform_has_the_runtime_of_that_platform_alone(string platform, string? library)
    {
        string[] native = [.. Entries($"dotnet-zqfp.{platform}")
            .Select(name => name.Split('/')[^1])
            .Where(name => name.Contains("onnxruntime", StringComparison.Ordinal))];

        Assert.Equal(library is null ? [] : [library], native);
    }

    /// <summary>What they have is told in docs/build-integration.md.</summary>
    [Theory]
    [InlineData("Zqfp.Build.Tasks", 60_000_000)]
    [InlineData("dotnet-zqfp", 100_000)]
    [InlineData("dotnet-zqfp.linux-x64", 25_000_000)]
    [InlineData("dotnet-zqfp.linux-arm64", 25_000_000)]
    [InlineData("dotnet-zqfp.win-x64", 25_000_000)]
    [InlineData("dotnet-zqfp.win-arm64", 25_000_000)]
    [InlineData("dotnet-zqfp.osx-arm64", 25_000_000)]
    [InlineData("dotnet-zqfp.any", 5_000_000)]
    [InlineData("Zqfp.CudaOps", 3_000_000)]
    [InlineData("Zqfp.Numerics", 200_000)]
    [InlineData("Zqfp.Tokenizers", 1_000_000)]
    [InlineData("Zqfp.Core", 100_000)]
    public void The_packages_stay_small(string id, long most) => Assert.InRange(new FileInfo(Package(id)).Length, 1, most);

    [Theory]
    [InlineData("Zqfp.Build.Tasks")]
    [InlineData("dotnet-zqfp")]
    [InlineData("dotnet-zqfp.linux-x64")]
    [InlineData("Zqfp.CudaOps")]
    [InlineData("Zqfp.Core")]
    [InlineData("Zqfp.Numerics")]
    [InlineData("Zqfp.Tokenizers")]
    public void A_package_says_what_it_is(string id)
    {
        using ZipArchive package = ZipFile.OpenRead(Package(id));
        XElement metadata = XDocument.Load(package.GetEntry($"{id}.nuspec")!.Open()).Root!.Elements().Single();
        string Value(string name) => metadata.Elements().Single(element => element.Name.LocalName == name).Value;

        Assert.Equal(("MIT", "README.md", "icon.png"), (Value("license"), Value("readme"), Value("icon")));
        Assert.All(["authors", "description", "copyright", "tags", "releaseNotes"], name => Assert.NotEmpty(Value(name)));
        Assert.NotNull(package.GetEntry("icon.png"));
        using var readme = new StreamReader(package.GetEntry("README.md")!.Open());
        string text = readme.ReadToEnd();
        Assert.StartsWith("# ", text, StringComparison.Ordinal);

        // A page of a registry shows it, where links into this repository lead nowhere.
        Assert.DoesNotMatch(@"\]\((?!https:)", text);
    }

    [Theory]
    [InlineData("Zqfp.CudaOps")]
    [InlineData("Zqfp.Core")]
    [InlineData("Zqfp.Numerics")]
    [InlineData("Zqfp.Tokenizers")]
    public void A_library_has_a_package_of_symbols(string id)
    {
        using ZipArchive symbols = ZipFile.OpenRead(Path.ChangeExtension(Package(id), ".snupkg"));
        Assert.NotNull(symbols.GetEntry($"lib/net10.0/{id}.pdb"));
    }

    /// <summary>
    /// What MSBuild on .NET Framework can load: .NET Standard and MSBuild itself, in a version that every SDK of .NET 10 has.
    /// </summary>
    [Fact]
    public void The_tasks_reference_nothing_but_the_standard_library_and_MSBuild()
    {
        using ZipArchive package = ZipFile.OpenRead(Package("Zqfp.Build.Tasks"));
        using var content = new MemoryStream();
        package.GetEntry("tasks/netstandard2.0/Zqfp.Build.Tasks.dll")!.Open().CopyTo(content);
        content.Position = 0;
        using var assembly = new PEReader(content);
        MetadataReader metadata = assembly.GetMetadataReader();
        var references = metadata.AssemblyReferences
            .Select(metadata.GetAssemblyReference)
            .ToDictionary(reference => metadata.GetString(reference.Name), reference => reference.Version);

        Assert.Equal(["Microsoft.Build.Framework", "Microsoft.Build.Utilities.Core", "netstandard"],
            references.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(new Version(2, 0, 0, 0), references["netstandard"]);
        Assert.All(references.Where(reference => reference.Key != "netstandard"),
            reference => Assert.Equal(new Version(15, 1, 0, 0), reference.Value));
        Assert.Equal(["tasks/netstandard2.0/Zqfp.Build.Tasks.dll"],
            Entries("Zqfp.Build.Tasks").Where(name => name.StartsWith("tasks/", StringComparison.Ordinal)));
    }

    /// <summary>Below a user's folder of packages on Windows, where paths end at 260 characters by default.</summary>
    [Theory]
    [InlineData("Zqfp.Build.Tasks")]
    [InlineData("dotnet-zqfp.win-x64")]
    [InlineData("Zqfp.CudaOps")]
    [InlineData("Zqfp.Tokenizers")]
    public void Paths_in_a_package_are_short(string id) => Assert.All(Entries(id), name => Assert.InRange(name.Length, 1, 160));

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
        DotNetResult result = project.Run("zqfp", "evaluate", "model/model.onnx", "--text", "data/evaluation.txt",
            "--tokenizer", "model/tokenizer.json", "--windows", "1", "--json").Succeeded();

        Assert.Contains("\"perplexity\": ", result.Output, StringComparison.Ordinal);
    }

    private string[] Entries(string id)
    {
        using ZipArchive package = ZipFile.OpenRead(Package(id));
        return [.. package.Entries.Select(entry => entry.FullName)];
    }

    private string Package(string id) => Directory.GetFiles(packages.Feed, $"{id}.*.nupkg")
        .Single(file => char.IsAsciiDigit(Path.GetFileName(file)[id.Length + 1]));
}
