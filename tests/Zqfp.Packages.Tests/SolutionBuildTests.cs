using System.Text.Json;

namespace Zqfp.Packages.Tests;

/// <summary>Several projects with models in one build, and a build that is stopped.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class SolutionBuildTests(PackagesFixture packages)
{
    [Fact]
    public void Three_projects_with_models_and_one_baseline_are_built_in_parallel_and_cleaned()
    {
        string[] names = ["one", "two", "three"];
        TestProject[] projects = [.. names.Select(name => packages.CreateProject("solution/" + name))];
        foreach (TestProject project in projects)
        {
            project.Edit(
                "EvaluationWindows=", "Method=\"rtn\" Preset=\"paper\" Rank=\"0\" Baseline=\"../zqfp.baseline.json\" EvaluationWindows=");
        }

        string folder = Path.GetDirectoryName(projects[0].Folder)!;
        File.WriteAllText(Path.Combine(folder, "All.proj"), """
            <Project>
              <ItemGroup>
                <Member Include="*/App.csproj" />
              </ItemGroup>
              <Target Name="Build">
                <MSBuild Projects="@(Member)" Targets="Restore" Properties="Restoring=true" />
                <MSBuild Projects="@(Member)" Targets="Build" BuildInParallel="true" />
              </Target>
              <Target Name="Clean">
                <MSBuild Projects="@(Member)" Targets="Clean" BuildInParallel="true" />
              </Target>
            </Project>
            """);
        DotNetResult result = DotNet.Run(folder, packages.PackagesFolder, "msbuild", "All.proj", "-m:3", "-t:Build",
            "-p:ZqfpUpdateBaseline=true").Succeeded();

        Assert.Equal(3, result.Summaries.Length);
        using var baseline = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "zqfp.baseline.json")));
        Assert.Equal(["one/model/model.onnx", "three/model/model.onnx", "two/model/model.onnx"],
            baseline.RootElement.EnumerateObject().Select(entry => entry.Name));
        byte[] first = File.ReadAllBytes(projects[0].OutputModel + ".data");
        Assert.All(projects, project => Assert.True(first.AsSpan().SequenceEqual(File.ReadAllBytes(project.OutputModel + ".data"))));

        DotNet.Run(folder, packages.PackagesFolder, "msbuild", "All.proj", "-m:3", "-t:Clean").Succeeded();
        Assert.All(projects, project => Assert.False(Directory.Exists(project.Path("obj/zqfp"))));
    }

    [Fact]
    public void A_build_that_is_interrupted_leaves_no_model_and_the_next_one_makes_it()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        TestProject project = packages.CreateProject("interrupted");
        project.Edit("Windows=\"2\"", "Windows=\"0\"");
        project.Run("restore").Succeeded();
        string folder = project.Path("obj/zqfp/model/model.onnx");
        TimeSpan ending = DotNet.Interrupt(
            project.Folder,
            packages.PackagesFolder,
            until: () => Directory.Exists(Path.Combine(folder, "work")) && Directory.EnumerateFiles(Path.Combine(folder, "work")).Any(),
            "build", "App.csproj", "--no-restore");

        Assert.False(File.Exists(project.QuantizedModel));
        Assert.False(File.Exists(project.OutputModel));
        Assert.Empty(Directory.EnumerateFiles(folder, "*.tmp", SearchOption.AllDirectories));
        Assert.True(ending < TimeSpan.FromSeconds(10), $"It took {ending} to end.");

        project.Edit("Windows=\"0\"", "Windows=\"2\"");
        Assert.Single(project.Build().Succeeded().Summaries);
    }
}
