using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Zqfp.Quantization.Tests;

/// <summary>A test that runs a model in Node, through npm's onnxruntime-node; skips where npm cannot bring that.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed partial class NodeFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Problem = new(Install);

    public NodeFactAttribute() => Skip = Problem.Value;

    /// <summary>The folder that holds <c>node_modules</c>: of the user, so that the package is fetched once.</summary>
    public static string Folder { get; } = Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "zqfp", $"onnxruntime-node-{Version()}");

    /// <summary>Runs a program and returns its output.</summary>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    public static string Run(string program, string folder, params string[] arguments)
    {
        bool isCommandFile = OperatingSystem.IsWindows() && program == "npm";
        var start = new ProcessStartInfo(isCommandFile ? "cmd.exe" : program, isCommandFile ? ["/d", "/c", program, .. arguments] : arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} ended with {process.ExitCode}: {errors.GetAwaiter().GetResult()}");
    }

    /// <summary>Installs the package that the build takes the native library from, without running its scripts; returns why it could not.</summary>
    private static string? Install()
    {
        if (Directory.Exists(Folder))
        {
            return null;
        }

        string temporary = $"{Folder}.{Environment.ProcessId}";
        try
        {
            Directory.CreateDirectory(temporary);
            Run("npm", temporary, "install", $"onnxruntime-node@{Version()}", "--prefix", ".", "--ignore-scripts", "--no-audit", "--no-fund");
            Directory.Move(temporary, Folder);
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or System.ComponentModel.Win32Exception or UnauthorizedAccessException)
        {
            return Directory.Exists(Folder) ? null : $"npm cannot bring onnxruntime-node: {e.Message.ReplaceLineEndings(" ")}";
        }
        finally
        {
            if (Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }
        }
    }

    private static string Version() => VersionElement().Match(File.ReadAllText(Repository.Path("eng/onnxruntime.targets"))).Groups[1].Value;

    [GeneratedRegex("<OnnxRuntimeVersion>([^<]+)<")]
    private static partial Regex VersionElement();
}
