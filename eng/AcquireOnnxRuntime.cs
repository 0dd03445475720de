using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using System.Threading;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Brings ONNX Runtime's native library for one platform into the user's cache, from NuGet or from npm.
/// Everything happens in a temporary folder inside the cache, which is renamed to its final name at the very end: parallel
/// builds and killed ones can only waste work. Compiled by MSBuild itself (netstandard2.0, no packages).
/// </summary>
public sealed class AcquireOnnxRuntime : Task, ICancelableTask
{
    private readonly CancellationTokenSource _cancellation = new CancellationTokenSource();

    [Required] public string Source { get; set; }
    [Required] public string Version { get; set; }
    [Required] public string RuntimeIdentifier { get; set; }
    [Required] public string CacheFolder { get; set; }
    [Required] public string NuGetFolder { get; set; }
    [Required] public string NpmFolder { get; set; }
    [Required] public string NpmIntegrity { get; set; }
    [Required] public string RestoreConfigFolder { get; set; }
    public string DotNetHost { get; set; }

    /// <summary>The folder in the cache that holds the library.</summary>
    [Output] public string Folder { get; set; }

    public void Cancel() => _cancellation.Cancel();

    public override bool Execute()
    {
        var reasons = new List<string>();
        string temporary = Path.Combine(CacheFolder, "incoming-" + Guid.NewGuid().ToString("N"));
        try
        {
            Directory.CreateDirectory(temporary);
            RemoveLeftovers();
            if (Source != "npm")
            {
                Folder = Attempt("NuGet", () => FromNuGet(temporary), NuGetFolder, reasons);
            }
            if (Folder == null && Source != "nuget")
            {
                Folder = Attempt("npm", () => FromNpm(temporary), NpmFolder, reasons);
            }
        }
        catch (OperationCanceledException)
        {
            Log.LogMessage(MessageImportance.High, "ONNX Runtime: cancelled.");
            return false;
        }
        catch (InvalidDataException mismatch)
        {
            Log.LogError(null, "ZQFP4002", null, null, 0, 0, 0, 0, "{0}", mismatch.Message);
            return false;
        }
        catch (Exception failure) when (failure is IOException || failure is UnauthorizedAccessException)
        {
            reasons.Add(failure.Message);
        }
        finally
        {
            TryDelete(temporary);
        }

        if (Folder == null)
        {
            Log.LogError(null, "ZQFP4001", null, null, 0, 0, 0, 0, "{0}",
                $"ONNX Runtime {Version} for {RuntimeIdentifier} could not be brought here. {string.Join(" ", reasons)} " +
                $"Make one of two ways work: a NuGet feed that holds {NuGetPackage}, or npm with onnxruntime-node@{Version}; " +
                "or give the library's path: -p:OnnxRuntimeSource=<file>.");
        }
        return Folder != null;
    }

    private string Attempt(string name, Func<string> acquire, string final, List<string> reasons)
    {
        try
        {
            string complete = acquire();
            try
            {
                Directory.Move(complete, final);
            }
            catch (IOException) when (Directory.Exists(final))
            {
                // Another build was first; its folder holds the same bytes.
            }
            Log.LogMessage(MessageImportance.High, "ONNX Runtime {0} for {1} from {2}: {3}", Version, RuntimeIdentifier, name, final);
            return final;
        }
        catch (InvalidOperationException failure)
        {
            reasons.Add($"{name}: {failure.Message}");
            return null;
        }
    }

    private string NuGetPackage =>
        RuntimeIdentifier == "linux-x64" ? "Microsoft.ML.OnnxRuntime.Gpu.Linux"
        : RuntimeIdentifier == "win-x64" ? "Microsoft.ML.OnnxRuntime.Gpu.Windows"
        : "Microsoft.ML.OnnxRuntime";

    /// <summary>Restores a project that downloads the package and nothing else; its failure is an answer, not an error of the build.</summary>
    private string FromNuGet(string temporary)
    {
        // The project stands in the repository's tree while it is restored, so that the NuGet configuration of the repository holds for it too.
        string work = Path.Combine(temporary, "nuget");
        Directory.CreateDirectory(work);
        string project = Path.Combine(work, "probe.proj");
        File.WriteAllText(project,
            "<Project Sdk=\"Microsoft.NET.Sdk\"><PropertyGroup><TargetFramework>netstandard2.0</TargetFramework>" +
            "<DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences><AutomaticallyUseReferenceAssemblyPackages>false</AutomaticallyUseReferenceAssemblyPackages>" +
            $"<RestorePackagesPath>{work}/packages</RestorePackagesPath><RestoreRootConfigDirectory>{RestoreConfigFolder}</RestoreRootConfigDirectory></PropertyGroup>" +
            $"<ItemGroup><PackageDownload Include=\"{NuGetPackage}\" Version=\"[{Version}]\" /></ItemGroup></Project>");
        File.WriteAllText(Path.Combine(work, "Directory.Build.props"), "<Project />");
        File.WriteAllText(Path.Combine(work, "Directory.Packages.props"), "<Project />");
        string output = Run(string.IsNullOrEmpty(DotNetHost) ? "dotnet" : DotNetHost, $"restore \"{project}\" --nologo --verbosity quiet", work);
        string natives = Path.Combine(work, "packages", NuGetPackage.ToLowerInvariant(), Version, "runtimes", RuntimeIdentifier, "native");
        if (!Directory.Exists(natives))
        {
            throw new InvalidOperationException($"no feed gave {NuGetPackage} {Version}{FirstErrorOf(output)}.");
        }
        return natives;
    }

    private string FromNpm(string temporary)
    {
        string work = Path.Combine(temporary, "npm");
        Directory.CreateDirectory(work);
        string arguments = $"pack onnxruntime-node@{Version} --ignore-scripts --silent";
        string output = Path.DirectorySeparatorChar == '\\' ? Run("cmd.exe", "/d /c npm " + arguments, work) : Run("npm", arguments, work);
        string tarball = Directory.GetFiles(work, "*.tgz").SingleOrDefault()
            ?? throw new InvalidOperationException($"'npm {arguments}' gave no package{FirstErrorOf(output)}.");
        using (FileStream bytes = File.OpenRead(tarball))
        using (SHA512 hash = SHA512.Create())
        {
            string found = "sha512-" + Convert.ToBase64String(hash.ComputeHash(bytes));
            if (found != NpmIntegrity)
            {
                throw new InvalidDataException(
                    $"The npm package onnxruntime-node@{Version} is not the one this repository was made with: its integrity is {found}, expected {NpmIntegrity}. " +
                    "Find out what the npm registry in use serves, or give a library: -p:OnnxRuntimeSource=<file>.");
            }
        }

        string[] parts = RuntimeIdentifier.Split('-');
        string platform = parts[0] == "win" ? "win32" : parts[0] == "osx" ? "darwin" : parts[0];
        string native = $"package/bin/napi-v6/{platform}/{parts[parts.Length - 1]}/";
        string result = Path.Combine(work, "native");
        Directory.CreateDirectory(result);
        using (var archive = new GZipStream(File.OpenRead(tarball), CompressionMode.Decompress))
        {
            // The Node binding, and the second copy of the macOS library under its full version, are of no use to us.
            ExtractTar(archive, name => name.StartsWith(native, StringComparison.Ordinal)
                && !name.EndsWith(".node", StringComparison.Ordinal)
                && !name.EndsWith($".{Version}.dylib", StringComparison.Ordinal)
                    ? Path.Combine(result, Path.GetFileName(name))
                    : null);
        }
        if (Directory.GetFiles(result).Length == 0)
        {
            throw new InvalidOperationException($"onnxruntime-node@{Version} has no library for {RuntimeIdentifier}.");
        }
        return result;
    }

    /// <summary>Writes the regular files of a ustar archive for which <paramref name="destination"/> gives a path.</summary>
    private void ExtractTar(Stream archive, Func<string, string> destination)
    {
        byte[] block = new byte[512];
        byte[] buffer = new byte[1 << 16];
        while (Fill(archive, block, 512) && block[0] != 0)
        {
            string prefix = Field(block, 345, 155);
            string name = prefix.Length > 0 ? prefix + "/" + Field(block, 0, 100) : Field(block, 0, 100);
            long size = Convert.ToInt64(Field(block, 124, 12).Trim(), 8);
            bool regular = block[156] == '0' || block[156] == 0;
            string path = regular ? destination(name) : null;
            long padded = (size + 511) / 512 * 512;
            using (Stream file = path == null ? Stream.Null : File.Create(path))
            {
                for (long done = 0; done < padded;)
                {
                    _cancellation.Token.ThrowIfCancellationRequested();
                    int count = archive.Read(buffer, 0, (int)Math.Min(buffer.Length, padded - done));
                    if (count == 0)
                    {
                        throw new EndOfStreamException("The npm package ends in the middle of a file.");
                    }
                    file.Write(buffer, 0, (int)Math.Max(0, Math.Min(count, size - done)));
                    done += count;
                }
            }
        }
    }

    private static bool Fill(Stream stream, byte[] buffer, int count)
    {
        int done = 0;
        for (int read = 1; done < count && read > 0; done += read)
        {
            read = stream.Read(buffer, done, count - done);
        }
        return done == count;
    }

    private static string Field(byte[] block, int offset, int length)
    {
        int end = Array.IndexOf(block, (byte)0, offset, length);
        return Encoding.UTF8.GetString(block, offset, (end < 0 ? offset + length : end) - offset);
    }

    private string Run(string program, string arguments, string folder)
    {
        _cancellation.Token.ThrowIfCancellationRequested();
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var output = new StringBuilder();
        DataReceivedEventHandler collect = (_, line) => { lock (output) { output.AppendLine(line.Data); } };
        try
        {
            using (var process = new Process { StartInfo = start })
            {
                process.OutputDataReceived += collect;
                process.ErrorDataReceived += collect;
                process.Start();
                process.BeginOutputReadLine();
                process.BeginErrorReadLine();
                using (_cancellation.Token.Register(() => TryKill(process)))
                {
                    process.WaitForExit();
                }
            }
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new InvalidOperationException($"'{program}' is not installed.");
        }
        _cancellation.Token.ThrowIfCancellationRequested();
        return output.ToString();
    }

    private static void TryKill(Process process)
    {
        try
        {
            process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It ended in the meantime.
        }
    }

    private static string FirstErrorOf(string output)
    {
        string line = output.Split('\n').FirstOrDefault(text => text.Contains("error NU") || text.Contains("npm error") || text.Contains("npm ERR!"));
        int code = line == null ? -1 : line.IndexOf("error", StringComparison.OrdinalIgnoreCase);
        return code < 0 ? "" : " (" + line.Substring(code).Trim().TrimEnd('.') + ")";
    }

    /// <summary>What a killed build left is removed by the next one, once it is surely nobody's.</summary>
    private void RemoveLeftovers()
    {
        foreach (string leftover in Directory.GetDirectories(CacheFolder, "incoming-*"))
        {
            if (DateTime.UtcNow - Directory.GetCreationTimeUtc(leftover) > TimeSpan.FromHours(2))
            {
                TryDelete(leftover);
            }
        }
    }

    private static void TryDelete(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (IOException)
        {
            // Still in use by a child that is ending; a later build removes it.
        }
        catch (UnauthorizedAccessException)
        {
            // As above, on Windows.
        }
    }
}
