using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Zqfp.CudaOps;
using Zqfp.Numerics;

namespace Zqfp.Quantization.Tests;

/// <summary>Data flows one way: the project references allowed are exactly those of docs/architecture.md.</summary>
public sealed class ArchitectureTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Zqfp.Build.Tasks"] = [],
        ["Zqfp.Core"] = [],
        ["Zqfp.CudaOps"] = ["Zqfp.Numerics"],
        ["Zqfp.CudaOps.Native"] = ["Zqfp.CudaOps"],
        ["Zqfp.Evaluation"] = ["Zqfp.CudaOps", "Zqfp.OnnxRewriter", "Zqfp.Tokenizers"],
        ["Zqfp.Numerics"] = ["Zqfp.Core"],
        ["Zqfp.OnnxRewriter"] = ["Zqfp.Numerics"],
        ["Zqfp.Quantization"] = ["Zqfp.Evaluation"],
        ["Zqfp.Reporting"] = ["Zqfp.Quantization"],
        ["Zqfp.Tokenizers"] = ["Zqfp.Core"],
        ["Zqfp.Tool"] = ["Zqfp.Reporting"],
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
            Assert.True(Allowed.ContainsKey(project),
                $"{project} is not in the architecture: describe it in docs/architecture.md and allow it here.");
            Assert.Subset(new HashSet<string>(Allowed[project]), new HashSet<string>(references));
        }
    }

    [Fact]
    public void Every_diagnostic_has_a_page_and_every_page_a_diagnostic()
    {
        string[] used = [.. new[] { "src", "eng" }
            .SelectMany(folder => Directory.GetFiles(Repository.Path(folder), "*.*", SearchOption.AllDirectories))
            .Where(path => Path.GetExtension(path) is ".cs" or ".targets" or ".props")
            .SelectMany(path => Regex.Matches(File.ReadAllText(path), "ZQFP[0-9]{4}").Select(match => match.Value))
            .Distinct().Order(StringComparer.Ordinal)];
        string[] pages = [.. Directory.GetFiles(Repository.Path("docs/diagnostics"), "*.md")
            .Select(path => Path.GetFileNameWithoutExtension(path)!)
            .Order(StringComparer.Ordinal)];
        Assert.Equal(pages, used);
    }

    [Fact]
    public void Hot_loops_are_methods_of_their_own()
    {
        const MethodImplAttributes Options = (MethodImplAttributes)HotLoop.Options;
        const BindingFlags Own =
            BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;
        MethodInfo[] loops = [.. new[] { typeof(NumberFormat), typeof(ZqfpOps) }
            .SelectMany(type => type.Assembly.GetTypes())
            .SelectMany(type => type.GetMethods(Own))
            .Where(method => (method.MethodImplementationFlags & MethodImplAttributes.AggressiveOptimization) != 0)];
        Assert.InRange(loops.Length, 50, int.MaxValue);
        Assert.All(loops, method => Assert.Equal(Options, method.MethodImplementationFlags & Options));
    }

    [Fact]
    public void Lines_of_code_are_at_most_140_characters()
    {
        // Tables of data, a row to a line.
        string[] tables = ["CanonicalData.cs", "OptionTable.cs"];
        string[] files = [.. new[] { "src", "tests", "benchmarks", "samples" }
            .SelectMany(folder => Directory.GetFiles(Repository.Path(folder), "*.cs", SearchOption.AllDirectories))
            .Where(path => !tables.Contains(Path.GetFileName(path)))
            .Where(path => !path.Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"))];
        Assert.NotEmpty(files);
        Assert.Empty(files.SelectMany(LongLines));
    }

    // Raw string literals are left out: a line break would be part of their text.
    private static IEnumerable<string> LongLines(string path)
    {
        bool isRaw = false;
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            int quotes = Regex.Count(line, "\"\"\"+");
            if (line.Length > 140 && !isRaw && quotes == 0)
            {
                yield return $"{Path.GetRelativePath(Repository.Root, path)}:{number}";
            }

            isRaw ^= quotes % 2 == 1;
        }
    }
}
