using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;

namespace Zqfp.Packages.Tests;

/// <summary>
/// Packages of a release, made in two copies of a part of this repository with a tag and a remote: no copy has what the other left.
/// </summary>
public sealed class ReleaseTests : IDisposable
{
    private const string Remote = "https://github.com/example/zeroquantfp";

    // dotnet pack -o takes no semicolon.
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp release ").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [UnixFact]
    public void A_release_has_the_version_of_the_tag_its_notes_and_sources_and_the_same_bytes_wherever_it_is_built()
    {
        string first = Copy("one"), second = Copy("another folder");
        Pack(first, "Zqfp.Core", "Zqfp.Numerics");
        Pack(second, "Zqfp.Core");

        string nuspec = Text(first, "Zqfp.Core.9.8.7.nupkg", "Zqfp.Core.nuspec");
        string commit = Git(first, "rev-parse", "HEAD").Trim();
        Assert.Contains($"<repository type=\"git\" url=\"{Remote}\"", nuspec, StringComparison.Ordinal);
        Assert.Contains($"commit=\"{commit}\"", nuspec, StringComparison.Ordinal);
        Assert.Contains($"<projectUrl>{Remote}</projectUrl>", nuspec, StringComparison.Ordinal);
        Assert.Contains("<releaseNotes>What is new.</releaseNotes>", nuspec, StringComparison.Ordinal);
        Assert.Contains("id=\"Zqfp.Core\" version=\"[9.8.7]\"", Text(first, "Zqfp.Numerics.9.8.7.nupkg", "Zqfp.Numerics.nuspec"),
            StringComparison.Ordinal);

        // The map from paths to addresses is text in the symbols.
        string symbols = Text(first, "Zqfp.Core.9.8.7.snupkg", "lib/net10.0/Zqfp.Core.pdb");
        Assert.Contains($"https://raw.githubusercontent.com/example/zeroquantfp/{commit}/*", symbols, StringComparison.Ordinal);

        foreach ((string package, string entry) in new[]
        {
            ("Zqfp.Core.9.8.7.nupkg", "lib/net10.0/Zqfp.Core.dll"),
            ("Zqfp.Core.9.8.7.nupkg", "Zqfp.Core.nuspec"),
            ("Zqfp.Core.9.8.7.snupkg", "lib/net10.0/Zqfp.Core.pdb"),
        })
        {
            Assert.True(Hash(first, package, entry) == Hash(second, package, entry), $"{entry} depends on where it is built.");
        }
    }

    [UnixFact]
    public void A_release_without_a_section_in_the_changelog_is_not_packed()
    {
        string copy = Copy("no section");
        File.WriteAllText(Path.Combine(copy, "CHANGELOG.md"), "## [Unreleased]\n\nThings.\n\n## [9.8.6]\n\nOlder.\n");
        DotNetResult result = DotNet.Run(copy, null, "pack", "src/Zqfp.Core", "-c", "Release", "-p:ZqfpRelease=true", "-o", "feed");

        Assert.Contains("CHANGELOG.md has no section [9.8.7]", Assert.Single(result.Errors), StringComparison.Ordinal);
    }

    private string Copy(string name)
    {
        string copy = Path.Combine(_folder, name);
        string[] files = ["Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props", "global.json", ".editorconfig",
            ".gitignore", .. Files("eng"), "src/Directory.Build.props", .. Files("src/Zqfp.Core"), .. Files("src/Zqfp.Numerics")];
        foreach (string file in files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(copy, file))!);
            File.Copy(Repository.Path(file), Path.Combine(copy, file));
        }

        File.WriteAllText(
            Path.Combine(copy, "CHANGELOG.md"), "# Changes\n\n## [9.8.7] - 2026-01-02\n\nWhat is new.\n\n## [9.8.6]\n\nOlder.\n");

        // One date and author, so that both copies have one commit.
        Git(copy, "init", "--quiet");
        Git(copy, "add", ".");
        Git(copy, "commit", "--quiet", "--message", "A part");
        Git(copy, "tag", "v9.8.7");
        Git(copy, "remote", "add", "origin", Remote);
        return copy;
    }

    private static IEnumerable<string> Files(string folder) => Directory
        .EnumerateFiles(Repository.Path(folder), "*", SearchOption.AllDirectories)
        .Select(file => Path.GetRelativePath(Repository.Root, file));

    private static void Pack(string copy, params string[] projects)
    {
        foreach (string project in projects)
        {
            DotNet.Run(copy, null, "pack", $"src/{project}", "-c", "Release", "-p:ZqfpRelease=true", "-o", "feed").Succeeded();
        }
    }

    private static string Text(string copy, string package, string entry)
    {
        using ZipArchive archive = ZipFile.OpenRead(Path.Combine(copy, "feed", package));
        using var reader = new StreamReader(archive.GetEntry(entry)!.Open(), System.Text.Encoding.UTF8);
        return reader.ReadToEnd();
    }

    private static string Hash(string copy, string package, string entry)
    {
        using ZipArchive archive = ZipFile.OpenRead(Path.Combine(copy, "feed", package));
        using Stream content = archive.GetEntry(entry)!.Open();
        return Convert.ToHexString(SHA256.HashData(content));
    }

    private static string Git(string folder, params string[] arguments)
    {
        var start = new ProcessStartInfo("git", arguments) { WorkingDirectory = folder, RedirectStandardOutput = true };

        // What git or a hook has set names the repository these tests are run in.
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("GIT_", StringComparison.Ordinal)).ToArray())
        {
            start.Environment.Remove(name);
        }

        foreach (string role in new[] { "AUTHOR", "COMMITTER" })
        {
            start.Environment[$"GIT_{role}_NAME"] = "test";
            start.Environment[$"GIT_{role}_EMAIL"] = "test@example.org";
            start.Environment[$"GIT_{role}_DATE"] = "2026-01-02T03:04:05Z";
        }

        start.Environment["GIT_CONFIG_GLOBAL"] = start.Environment["GIT_CONFIG_SYSTEM"] = "/dev/null";
        using Process git = Process.Start(start)!;
        string output = git.StandardOutput.ReadToEnd();
        git.WaitForExit();
        Assert.Equal(0, git.ExitCode);
        return output;
    }
}
