using System.IO.Compression;

namespace Zqfp.Packages.Tests;

/// <summary>An application outside of the repository runs a quantized model with the package of the operators.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class OperatorsPackageTests(PackagesFixture packages)
{
    private const string ProjectText = """
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <TargetFramework>net10.0</TargetFramework>
            <OutputType>Exe</OutputType>
            <ImplicitUsings>enable</ImplicitUsings>
          </PropertyGroup>
          <ItemGroup>
            <PackageReference Include="Microsoft.ML.OnnxRuntime" Version="1.31.1" />
            <PackageReference Include="Zqfp.CudaOps" Version="*" />
          </ItemGroup>
        </Project>
        """;

    private const string Program = """
        using Microsoft.ML.OnnxRuntime;
        using Zqfp.CudaOps;

        Run(options => options.AddZqfpOperators());
        Run(options => options.RegisterCustomOpLibrary(ZqfpOps.LibraryPath));

        void Run(Action<SessionOptions> add)
        {
            using var options = new SessionOptions();
            add(options);
            using var session = new InferenceSession(args[0], options);
            using var run = new RunOptions();
            using var input = OrtValue.CreateTensorValueFromMemory(new long[] { 1, 5, 9, 13 }, [1, 4]);
            using var outputs = session.Run(run, session.InputNames, [input], ["logits"]);
            Console.WriteLine("logits " + string.Join(' ', outputs[0].GetTensorDataAsSpan<float>()[..8].ToArray()));
        }
        """;

    [Fact]
    public void An_application_runs_a_quantized_model_in_process_and_by_the_native_library_alike()
    {
        Assert.SkipUnless(PackagesFixture.HasLinker, "No C toolchain: the package has no native library.");
        TestProject project = packages.CreateProject("operators");
        File.WriteAllText(project.ProjectFile, ProjectText);
        File.WriteAllText(project.Path("Program.cs"), Program);
        DotNetResult result = project.Run("run", "--", packages.Built.QuantizedModel).Succeeded();

        string[] logits = [.. result.Output.Split('\n').Where(line => line.StartsWith("logits ", StringComparison.Ordinal))];
        Assert.Equal(2, logits.Length);
        Assert.Equal(logits[0], logits[1]);
        Assert.Equal(9, logits[0].Split(' ').Length);
        Assert.DoesNotContain("NaN", logits[0], StringComparison.Ordinal);
    }

    [Fact]
    public void A_published_application_for_one_platform_finds_the_native_library()
    {
        Assert.SkipUnless(PackagesFixture.HasLinker, "No C toolchain: the package has no native library.");
        TestProject project = packages.CreateProject("operators published");
        File.WriteAllText(project.ProjectFile, ProjectText);
        File.WriteAllText(project.Path("Program.cs"),
            "System.Console.WriteLine(\"library \" + System.IO.File.Exists(Zqfp.CudaOps.ZqfpOps.LibraryPath));\n");
        string platform = NativeFiles().Single().Split('/')[1];
        project.Run("publish", "-r", platform, "--self-contained", "false", "-p:UseAppHost=false", "-o", project.Path("published"))
            .Succeeded();

        Assert.Contains("library True", project.Run(project.Path("published/App.dll")).Succeeded().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_package_has_one_native_library_and_is_small()
    {
        Assert.SkipUnless(PackagesFixture.HasLinker, "No C toolchain: the package has no native library.");
        Assert.Matches("^runtimes/[^/]+/native/zqfp_ops[.](so|dll|dylib)$", Assert.Single(NativeFiles()));
        Assert.InRange(new FileInfo(Package).Length, 100_000, 3_000_000);
    }

    private string Package => Directory.GetFiles(packages.Feed, "Zqfp.CudaOps.*.nupkg").Single();

    private string[] NativeFiles()
    {
        using ZipArchive package = ZipFile.OpenRead(Package);
        return [.. package.Entries.Select(entry => entry.FullName).Where(name => name.StartsWith("runtimes/", StringComparison.Ordinal))];
    }
}
