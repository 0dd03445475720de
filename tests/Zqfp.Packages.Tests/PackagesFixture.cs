using System.Reflection;

namespace Zqfp.Packages.Tests;

/// <summary>
/// The packages, packed afresh into a folder feed, and a project made with them and built once. Tests work on copies of that project:
/// staleness goes by content, so a copy is as up to date as the original.
/// </summary>
public sealed class PackagesFixture : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp packages ").FullName;
    private readonly Lazy<TestProject> _built;

    public PackagesFixture()
    {
        string[] built = BuiltTool();
        foreach (string project in new[] { "Zqfp.Core", "Zqfp.Numerics", "Zqfp.Tokenizers", "Zqfp.CudaOps" })
        {
            Pack(project, "--no-build");
        }

        // The tool is built once more for each platform.
        Pack("Zqfp.Tool");
        Pack("Zqfp.Build.Tasks");
        LeavesToolAsBuilt = built.Length > 0 && built.SequenceEqual(BuiltTool());

        // Above the projects, whose folders have names that NuGet itself does not bear.
        File.WriteAllText(Path.Combine(_folder, "nuget.config"), $"""
            <configuration>
              <packageSources>
                <clear />
                <add key="feed" value="{Feed}" />
                <add key="what the packages depend on, as a public feed has it" value="{MachinePackages}" />
              </packageSources>
              <fallbackPackageFolders>
                <clear />
              </fallbackPackageFolders>
            </configuration>
            """);
        _built = new Lazy<TestProject>(() =>
        {
            TestProject project = CreateProject("built");
            FirstBuild = project.Build().Succeeded().Output;
            return project;
        });
    }

    /// <summary>The packages of this machine; a folder of restored packages serves as a feed.</summary>
    private static string MachinePackages { get; } = Metadata("MachinePackages");

    /// <summary>Whether this machine can link a native library; without, the packages have none, and what needs it is skipped.</summary>
    public static bool HasLinker { get; } = OperatingSystem.IsWindows()
        || (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(':')
            .Any(folder => File.Exists(Path.Combine(folder, "clang")) || File.Exists(Path.Combine(folder, "gcc")));

    public string Feed => Path.Combine(_folder, "feed");

    /// <summary>Packages restored by the builds under test.</summary>
    public string PackagesFolder => Path.Combine(_folder, "packages");

    /// <summary>Whether packing left the assemblies of the tool alone, which other tests run meanwhile.</summary>
    public bool LeavesToolAsBuilt { get; }

    /// <summary>What the first build of the project printed.</summary>
    public string FirstBuild { get; private set; } = string.Empty;

    /// <summary>The project that was built once; not to be changed.</summary>
    internal TestProject Built => _built.Value;

    /// <summary>A project with the sample's model that was never built.</summary>
    internal TestProject CreateProject(string name) => TestProject.Create(Path.Combine(_folder, name), this);

    /// <summary>A copy of the project that was built once.</summary>
    internal TestProject CopyBuilt(string name) => Built.CopyTo(Path.Combine(_folder, name));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>The configuration that is tested, as it was written when it was built: its name is in the assemblies.</summary>
    internal static string Configuration { get; } = Metadata("Configuration");

    // Packed as it was built: other values would compile everything once more, under tests that run it.
    private void Pack(string project, params string[] more) =>
        DotNet.Run(Repository.Root, packagesFolder: null, ["pack", $"src/{project}", "-c", Configuration, "-o",
            Feed, $"-p:ContinuousIntegrationBuild={Metadata("ContinuousIntegrationBuild")}",
            .. HasLinker ? [] : (string[])["-p:ZqfpNativeLibraries=none"], .. more]).Succeeded();

    // Its assemblies with their times: a file that is written again, even with the same bytes, is missing for a moment.
    private static string[] BuiltTool() =>
    [
        .. new DirectoryInfo(Repository.Path($"artifacts/bin/Zqfp.Tool/{Configuration.ToLowerInvariant()}")).GetFiles("*.dll")
            .Select(file => $"{file.Name} {file.Length} {file.LastWriteTimeUtc:O}")
            .Order(StringComparer.Ordinal)
    ];

    private static string Metadata(string key) => typeof(PackagesFixture).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == key).Value ?? "";
}

[CollectionDefinition(Name)]
public sealed class PackagesFixtureDefinition : ICollectionFixture<PackagesFixture>
{
    public const string Name = "Packages";
}
