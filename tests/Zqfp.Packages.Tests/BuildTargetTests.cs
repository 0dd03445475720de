using System.Text.RegularExpressions;

namespace Zqfp.Packages.Tests;

/// <summary>Clean, publish, design-time builds, several target frameworks, referencing projects.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class BuildTargetTests(PackagesFixture packages)
{
    [Fact]
    public void Clean_leaves_nothing()
    {
        TestProject project = packages.CopyBuilt("clean");
        project.Build().Succeeded();
        Assert.True(File.Exists(project.OutputModel));
        project.Run("clean").Succeeded();

        AssertClean(project);
    }

    [Fact]
    public void Clean_leaves_nothing_after_a_target_by_itself()
    {
        TestProject project = packages.CopyBuilt("bare target");
        Directory.Delete(project.Path("bin"), recursive: true);
        File.Delete(project.GateStamp);
        project.Build("-t:ZqfpGate").Succeeded();
        Assert.True(File.Exists(project.GateStamp));
        project.Run("clean").Succeeded();

        AssertClean(project);
    }

    [Fact]
    public void Publish_has_the_quantized_model()
    {
        TestProject project = packages.CopyBuilt("publish");
        project.Run("publish", "-c", "Debug", "-o", "published").Succeeded();

        Assert.True(File.ReadAllBytes(project.QuantizedModel)
            .AsSpan()
            .SequenceEqual(File.ReadAllBytes(project.Path("published/model/model.onnx"))));
        Assert.True(File.Exists(project.Path("published/model/model.onnx.data")));
        Assert.Empty(Directory.GetFiles(project.Path("published"), "*Zqfp*"));
    }

    [Fact]
    public void A_project_that_references_the_model_project_gets_the_model()
    {
        TestProject project = packages.CopyBuilt("referenced");
        project.Edit("<OutputType>Exe</OutputType>", "<EnableDefaultItems>false</EnableDefaultItems>");
        Directory.CreateDirectory(project.Path("User"));
        File.WriteAllText(project.Path("User/User.csproj"), """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>net10.0</TargetFramework>
              </PropertyGroup>
              <ItemGroup>
                <ProjectReference Include="../App.csproj" />
              </ItemGroup>
            </Project>
            """);
        project.Run("build", "User").Succeeded();

        Assert.True(File.Exists(project.Path("User/bin/Debug/net10.0/model/model.onnx")));
        Assert.True(File.Exists(project.Path("User/bin/Debug/net10.0/model/model.onnx.data")));
    }

    [Fact]
    public void Paths_with_backslashes_are_those_with_slashes()
    {
        TestProject project = packages.CopyBuilt("backslashes");
        project.Edit("model/model.onnx", "model\\model.onnx");
        project.Edit("model/tokenizer.json", "model\\tokenizer.json");
        project.Edit("data/calibration.txt", "data\\calibration.txt");
        project.Edit("data/evaluation.txt", "data\\evaluation.txt");

        Assert.Empty(project.Build().Succeeded().Summaries);
        Assert.True(File.Exists(project.OutputModel));
    }

    [Fact]
    public void A_design_time_build_does_nothing()
    {
        TestProject project = packages.CreateProject("design time");
        project.Run("restore").Succeeded();
        project.Build("--no-restore", "-t:Compile", "-p:DesignTimeBuild=true", "-p:SkipCompilerExecution=true",
            "-p:ProvideCommandLineArgs=true").Succeeded();

        Assert.False(Directory.Exists(project.Path("obj/zqfp")));
    }

    [Fact]
    public void A_disabled_build_has_no_model()
    {
        TestProject project = packages.CreateProject("disabled");
        project.Build("-p:ZqfpEnabled=false").Succeeded();

        Assert.False(Directory.Exists(project.Path("obj/zqfp")));
        Assert.False(File.Exists(project.OutputModel));
    }

    [Fact]
    public void An_error_in_the_code_comes_before_the_quantization()
    {
        TestProject project = packages.CreateProject("code error");
        File.WriteAllText(project.Path("Program.cs"), "this is no C#");

        Assert.NotEqual(0, project.Build().ExitCode);
        Assert.False(Directory.Exists(project.Path("obj/zqfp")));
    }

    [Fact]
    public void Two_target_frameworks_quantize_once()
    {
        TestProject project = packages.CreateProject("two frameworks");

        TargetTwoFrameworks(project);
        DotNetResult result = project.Build("-m").Succeeded();

        Assert.Single(result.Summaries);
        Assert.True(File.Exists(project.Path("bin/Debug/net10.0/model/model.onnx")));
        Assert.True(File.Exists(project.Path("bin/Debug/net9.0/model/model.onnx.data")));
        DateTime quantized = File.GetLastWriteTimeUtc(project.QuantizeStamp);
        Assert.Empty(project.Build("-m").Succeeded().Summaries);
        Assert.Equal(quantized, File.GetLastWriteTimeUtc(project.QuantizeStamp));
    }

    [Fact]
    public void A_model_of_some_target_frameworks_is_made_for_those()
    {
        TestProject project = packages.CreateProject("one of two frameworks");
        TargetTwoFrameworks(project);
        project.Edit("<ZqfpModel Include", "<ZqfpModel Condition=\"'$(TargetFramework)' == 'net10.0'\" Include");

        Assert.Single(project.Build("-m").Succeeded().Summaries);
        Assert.True(File.Exists(project.Path("bin/Debug/net10.0/model/model.onnx")));
        Assert.False(Directory.Exists(project.Path("bin/Debug/net9.0/model")));

        // Two frameworks that have it, and the build of them all that has not: it is there already.
        project.Edit("== 'net10.0'\" Include", "!= ''\" Include");
        Assert.Empty(project.Build("-m").Succeeded().Summaries);
        Assert.True(File.Exists(project.Path("bin/Debug/net9.0/model/model.onnx")));
    }

    private static void TargetTwoFrameworks(TestProject project)
    {
        // One targeting pack, which the SDK brings, serves both: nothing is downloaded.
        project.Edit("<TargetFramework>net10.0</TargetFramework>", """
            <TargetFrameworks>net10.0;net9.0</TargetFrameworks>
            <DisableImplicitFrameworkReferences Condition="'$(TargetFramework)' == 'net9.0'">true</DisableImplicitFrameworkReferences>
            """);
        project.Edit("<OutputType>Exe</OutputType>", "<OutputType>Library</OutputType>");
        project.Edit("</Project>", """
              <Target Name="ReferenceFramework" BeforeTargets="CoreCompile" Condition="'$(TargetFramework)' == 'net9.0'">
                <ItemGroup>
                  <ReferencePathWithRefAssemblies Include="$(NetCoreTargetingPackRoot)/Microsoft.NETCore.App.Ref/$(BundledNETCoreAppPackageVersion)/ref/net10.0/*.dll" />
                </ItemGroup>
              </Target>
            </Project>
            """);
        File.WriteAllText(project.Path("Program.cs"), "public class C;\n");
    }

    [Fact]
    public void A_missing_model_is_one_coded_error_that_links_to_its_page_in_the_package()
    {
        TestProject project = packages.CreateProject("missing");
        File.Delete(project.Path("model/model.onnx"));
        DotNetResult result = project.Build();

        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains(": error ZQFP0001: ", Assert.Single(result.Errors), StringComparison.Ordinal);

        // The terminal logger makes a link of the code.
        string shown = project.Build("-terminalLogger:on").Output;
        Match link = Regex.Match(shown, "\u001b]8;;(?<page>file:///[^\u001b]*/docs/diagnostics/ZQFP0001[.]md)\u001b");
        Assert.True(link.Success, shown);
        Assert.StartsWith("# ZQFP0001: ", File.ReadAllText(new Uri(link.Groups["page"].Value).LocalPath), StringComparison.Ordinal);
    }

    private static void AssertClean(TestProject project)
    {
        Assert.False(Directory.Exists(project.Path("obj/zqfp")));
        Assert.False(Directory.Exists(project.Path("bin"))
            && Directory.GetFiles(project.Path("bin"), "*.onnx*", SearchOption.AllDirectories).Length > 0);
    }
}
