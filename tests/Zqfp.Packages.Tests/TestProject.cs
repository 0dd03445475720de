namespace Zqfp.Packages.Tests;

/// <summary>A project outside of the repository that knows the packages and nothing else.</summary>
internal sealed class TestProject
{
    private readonly PackagesFixture _packages;

    private TestProject(string folder, PackagesFixture packages)
    {
        Folder = folder;
        _packages = packages;
    }

    public string Folder { get; }

    public string ProjectFile => Path("App.csproj");

    public string QuantizedModel => Path("obj/zqfp/model/model.onnx/model.onnx");

    public string QuantizeStamp => Path("obj/zqfp/model/model.onnx/quantize.stamp");

    public string GateStamp => Path("obj/zqfp/model/model.onnx/gate.stamp");

    public string OutputModel => Path("bin/Debug/net10.0/model/model.onnx");

    /// <summary>The project's text; few windows, and a limit that only a broken model exceeds.</summary>
    private const string Text = """
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <TargetFramework>net10.0</TargetFramework>
            <OutputType>Exe</OutputType>
          </PropertyGroup>
          <ItemGroup>
            <PackageReference Include="Zqfp.Build.Tasks" Version="*" />
            <ZqfpModel Include="model/model.onnx" Tokenizer="model/tokenizer.json" Calibration="data/calibration.txt" Evaluation="data/evaluation.txt"
                       Windows="2" EvaluationWindows="2" MaxPerplexityIncrease="50%" />
          </ItemGroup>
        </Project>
        """;

    public static TestProject Create(string folder, PackagesFixture packages)
    {
        var project = new TestProject(folder, packages);
        string sample = Repository.Path("samples/ModelProject");
        Directory.CreateDirectory(project.Path("model"));
        Directory.CreateDirectory(project.Path("data"));
        foreach (string file in new[] { "model.onnx", "model.onnx.data", "tokenizer.json" })
        {
            File.Copy(System.IO.Path.Combine(sample, "model", file), project.Path("model/" + file));
        }

        foreach (string text in new[] { "calibration", "evaluation" })
        {
            File.Copy(System.IO.Path.Combine(sample, "data", $"tinystories-{text}.txt"), project.Path($"data/{text}.txt"));
        }

        File.WriteAllText(project.ProjectFile, Text);
        File.WriteAllText(project.Path("Program.cs"), "System.Console.WriteLine(\"Hello\");\n");
        return project;
    }

    public string Path(string relative) => System.IO.Path.Combine(Folder, relative);

    /// <summary>Copies everything, results and their times included.</summary>
    public TestProject CopyTo(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(Folder, "*", SearchOption.AllDirectories))
        {
            string copy = System.IO.Path.Combine(folder, System.IO.Path.GetRelativePath(Folder, file));
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
            File.SetLastWriteTimeUtc(copy, File.GetLastWriteTimeUtc(file));
        }

        return new TestProject(folder, _packages);
    }

    public void Edit(string oldText, string newText)
    {
        string text = File.ReadAllText(ProjectFile);
        Assert.Contains(oldText, text, StringComparison.Ordinal);
        File.WriteAllText(ProjectFile, text.Replace(oldText, newText, StringComparison.Ordinal));
    }

    public DotNetResult Build(params string[] arguments) => Run(["build", "App.csproj", .. arguments]);

    public DotNetResult Run(params string[] arguments) => DotNet.Run(Folder, _packages.PackagesFolder, arguments);
}
