namespace Zqfp.Packages.Tests;

/// <summary>A stranger's whole way, from packages in a folder to a model that runs where it was published, without a network.</summary>
[Collection(PackagesFixtureDefinition.Name)]
public class OfflineTests(PackagesFixture packages)
{
    private const string Program = """
        using Zqfp.CudaOps;
        using Zqfp.OnnxRuntime;

        using var environment = new OrtEnvironment();
        using OrtOperatorDomain operators = ZqfpOperators.CreateDomain(environment);
        string model = System.IO.Path.Combine(System.AppContext.BaseDirectory, "model", "model.onnx");
        using var session = OrtSession.Create(environment, model, new OrtSessionOptions().AddOperatorDomain(operators));
        using var input = OrtValue.Create<long>(environment, [1, 5, 9, 13], [1, 4]);
        using OrtValue logits = session.Run([session.Inputs[0].Name], [input], ["logits"])[0];
        System.Console.WriteLine("logits " + string.Join(' ', logits.Shape.ToArray()));
        """;

    /// <summary>
    /// ONNX Runtime is a package of others; here its files stand for it. On Linux the processes see no network at all, elsewhere only
    /// a proxy that does not exist.
    /// </summary>
    [Fact]
    public void A_project_with_the_packages_alone_builds_gates_publishes_and_runs_its_model_without_a_network()
    {
        TestProject project = packages.CreateProject("offline");
        project.Edit("<PackageReference Include=\"Zqfp.Build.Tasks\" Version=\"*\" />", $"""
            <PackageReference Include="Zqfp.Build.Tasks" Version="*" />
                <PackageReference Include="Zqfp.CudaOps" Version="*" />
                <None Include="{Repository.Path("artifacts/bin/Zqfp.Tool")}/{PackagesFixture.Configuration}/runtimes/**" LinkBase="runtimes" CopyToOutputDirectory="PreserveNewest" />
            """);
        project.Edit("<OutputType>Exe</OutputType>", "<OutputType>Exe</OutputType><ImplicitUsings>enable</ImplicitUsings>");
        File.WriteAllText(project.Path("Program.cs"), Program);

        string fresh = project.Path("../packages of offline");
        DotNetResult built = DotNet.RunOffline(project.Folder, fresh, "build", "App.csproj").Succeeded();
        Assert.Contains("perplexity", Assert.Single(built.Summaries), StringComparison.Ordinal);
        Assert.Contains(": error ZQFP3001: ", Assert.Single(DotNet.RunOffline(project.Folder, fresh, "build", "App.csproj", "-p:ZqfpMaxPerplexityIncrease=0%").Errors), StringComparison.Ordinal);
        DotNet.RunOffline(project.Folder, fresh, "publish", "App.csproj", "-c", "Debug", "-o", "published").Succeeded();

        // Elsewhere, so that nothing is found that was not published.
        Directory.Move(project.Path("published"), project.Path("../installed"));
        DotNetResult ran = DotNet.RunOffline(project.Path("../installed"), fresh, "App.dll").Succeeded();
        Assert.Contains("logits 1 4 2048", ran.Output, StringComparison.Ordinal);
    }
}
