using System.Xml.Linq;
using Zqfp.Tests;

namespace Zqfp.Pipeline.Tests;

/// <summary>Data flows one way: the project references allowed are exactly those of docs/architecture.md.</summary>
public sealed class ArchitectureTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Zqfp.Build.Tasks"] = [],
        ["Zqfp.CudaOps"] = ["Zqfp.Numerics", "Zqfp.OnnxRuntime"],
        ["Zqfp.CudaOps.Native"] = ["Zqfp.CudaOps"],
        ["Zqfp.Numerics"] = [],
        ["Zqfp.OnnxRewriter"] = [],
        ["Zqfp.OnnxRuntime"] = [],
        ["Zqfp.Pipeline"] = ["Zqfp.CudaOps", "Zqfp.Numerics", "Zqfp.OnnxRewriter"],
        ["Zqfp.Tool"] = ["Zqfp.Pipeline"],
    };

    [Fact]
    public void Projects_reference_only_what_the_architecture_allows()
    {
        foreach (string path in Directory.GetFiles(Repository.Path("src"), "*.csproj", SearchOption.AllDirectories))
        {
            string project = Path.GetFileNameWithoutExtension(path);
            string[] references = [.. XDocument.Load(path).Descendants("ProjectReference")
                .Where(reference => (string?)reference.Attribute("ReferenceOutputAssembly") != "false")
                .Select(reference => Path.GetFileNameWithoutExtension((string)reference.Attribute("Include")!))];
            Assert.True(Allowed.ContainsKey(project), $"{project} is not in the architecture: describe it in docs/architecture.md and allow it here.");
            Assert.Subset(new HashSet<string>(Allowed[project]), new HashSet<string>(references));
        }
    }
}
