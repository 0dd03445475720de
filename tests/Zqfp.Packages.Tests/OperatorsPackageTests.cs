using System.IO.Compression;

namespace Zqfp.Packages.Tests;

/// <summary>An application outside of the repository runs a quantized model with the package of the operators.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class OperatorsPackageTests(PackagesFixture packages)
{
    /// <summary>ONNX Runtime comes from where the application takes it; here, from the files of a package that stands for it.</summary>
    private static string ProjectText => $"""
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <TargetFramework>net10.0</TargetFramework>
            <OutputType>Exe</OutputType>
            <ImplicitUsings>enable</ImplicitUsings>
          </PropertyGroup>
          <ItemGroup>
            <PackageReference Include="Zqfp.CudaOps" Version="*" />
            <None Include="{Repository.Path("artifacts/bin/Zqfp.Tool")}/{PackagesFixture.Configuration}/runtimes/**" LinkBase="runtimes" CopyToOutputDirectory="PreserveNewest" />
          </ItemGroup>
        </Project>
        """;

    private const string Program = """
        using Zqfp.CudaOps;
        using Zqfp.OnnxRuntime;

        using var environment = new OrtEnvironment();
        using OrtOperatorDomain operators = ZqfpOperators.CreateDomain(environment);
        Run(new OrtSessionOptions().AddOperatorDomain(operators));
        Run(new OrtSessionOptions().AddOperatorLibrary(ZqfpOps.LibraryPath));

        void Run(OrtSessionOptions options)
        {
            using var session = OrtSession.Create(environment, args[0], options);
            using var input = OrtValue.Create<long>(environment, [1, 5, 9, 13], [1, 4]);
            using OrtValue logits = session.Run([session.Inputs[0].Name], [input], ["logits"])[0];
            Console.WriteLine("logits " + string.Join(' ', logits.AsReadOnlySpan<float>()[..8].ToArray()));
        }
        """;

    [Fact]
    public void An_application_runs_a_quantized_model_in_process_and_by_the_native_library_alike()
    {
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
        TestProject project = packages.CreateProject("operators published");
        File.WriteAllText(project.ProjectFile, ProjectText);
        File.WriteAllText(project.Path("Program.cs"), "System.Console.WriteLine(\"library \" + System.IO.File.Exists(Zqfp.CudaOps.ZqfpOps.LibraryPath));\n");
        string platform = NativeFiles().Single().Split('/')[1];
        project.Run("publish", "-r", platform, "--self-contained", "false", "-p:UseAppHost=false", "-o", project.Path("published")).Succeeded();

        Assert.Contains("library True", project.Run(project.Path("published/App.dll")).Succeeded().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_package_has_one_native_library_and_is_small()
    {
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
