using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Recorder;

/// <summary>A folder with packages made from the sources, for what a user would do with nothing but them. It is gone at the end.</summary>
internal sealed partial class Workshop : IDisposable
{
    private bool _isPacked;

    public string Root { get; } = FindRoot();

    public string Folder { get; } = Directory.CreateTempSubdirectory("zqfp-").FullName;

    public Dictionary<string, string> Environment { get; } = [];

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>Makes a project by section 1 of docs/getting-started.md, with another limit.</summary>
    public string CreateProject(string limit)
    {
        Pack();
        Run(Folder, "dotnet", "new", "console", "-o", "Stories");
        string project = Path.Combine(Folder, "Stories"), file = Path.Combine(project, "Stories.csproj");
        Run(project, "dotnet", "add", "package", "Zqfp.Build.Tasks");
        CopySample(project, "model", "data");
        string guide = File.ReadAllText(Path.Combine(Root, "docs/getting-started.md"));
        string items = XmlBlock().Match(guide).Groups[1].Value.Replace("\"5%\"", $"\"{limit}\"", StringComparison.Ordinal);
        File.WriteAllText(file, File.ReadAllText(file).Replace("</Project>", items + "</Project>", StringComparison.Ordinal));
        return project;
    }

    /// <summary>Makes the folder that docs/tour.md is in: the sample's files, and the tool.</summary>
    public string CreateTour()
    {
        Pack();
        string folder = Directory.CreateDirectory(Path.Combine(Folder, "tour")).FullName;
        string sample = Path.Combine(Root, "samples/ModelProject");
        foreach (string name in new[] { "model.onnx", "model.onnx.data", "tokenizer.json" })
        {
            File.Copy(Path.Combine(sample, "model", name), Path.Combine(folder, name));
        }

        File.Copy(Path.Combine(sample, "data/tinystories-calibration.txt"), Path.Combine(folder, "train.txt"));
        File.Copy(Path.Combine(sample, "data/tinystories-evaluation.txt"), Path.Combine(folder, "test.txt"));
        Run(folder, "dotnet", "tool", "install", "dotnet-zqfp", "--tool-path", Path.Combine(Folder, "tool"));
        Environment["PATH"] = Path.Combine(Folder, "tool") + ":" + System.Environment.GetEnvironmentVariable("PATH");
        return folder;
    }

    private void CopySample(string project, params string[] folders)
    {
        foreach (string folder in folders)
        {
            string target = Directory.CreateDirectory(Path.Combine(project, folder)).FullName;
            foreach (string file in Directory.GetFiles(Path.Combine(Root, "samples/ModelProject", folder)))
            {
                File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
            }
        }
    }

    private void Pack()
    {
        if (_isPacked)
        {
            return;
        }

        _isPacked = true;
        foreach (string project in new[] { "Core", "Numerics", "Tokenizers", "CudaOps", "Tool", "Build.Tasks" })
        {
            Run(Root, "dotnet", "pack", "src/Zqfp." + project, "-c", "Release", "-o", Path.Combine(Folder, "feed"));
        }

        File.WriteAllText(Path.Combine(Folder, "nuget.config"), """
            <configuration>
              <packageSources>
                <add key="zqfp" value="feed" />
              </packageSources>
            </configuration>
            """);
        Environment["NUGET_PACKAGES"] = Path.Combine(Folder, "packages");
        Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = Environment["DOTNET_NOLOGO"] = "1";
        Environment["MSBUILDDISABLENODEREUSE"] = "1";
    }

    private void Run(string folder, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true };
        foreach ((string name, string value) in Environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {output}");
        }
    }

    private static string FindRoot([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));

    [GeneratedRegex("(?s)```xml\n(.*?)```")]
    private static partial Regex XmlBlock();
}
