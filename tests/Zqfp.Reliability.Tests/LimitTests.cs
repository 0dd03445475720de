using System.Diagnostics;
using System.Globalization;

namespace Zqfp.Reliability.Tests;

/// <summary>A machine that has no more of something: one clear error, nothing half-written, and the next run succeeds.</summary>
public sealed class LimitTests
{
    [UnixFact]
    public void A_disk_that_is_full_is_an_error_and_leaves_the_older_model()
    {
        using var trial = new Trial();
        Assert.Equal(0, Tool.Run(trial.Quantize()).ExitCode);
        byte[] older = trial.OutputBytes!;
        string disk = Path.Combine(trial.Folder, "disk");
        Directory.CreateDirectory(disk);
        Assert.SkipUnless(Shell($"mount -t tmpfs -o size=300k none '{disk}'") == 0, "File systems cannot be mounted here.");
        try
        {
            // Room for the model beside its older one runs out somewhere; the blocks that are filled decide where.
            string output = Path.Combine(disk, "m.onnx");
            foreach (int filled in (int[])[0, 100, 150, 200, 250, 280, 300])
            {
                File.WriteAllBytes(output, older[..1000]);
                Shell($"head -c {filled}k /dev/zero > '{disk}/filler'");
                string[] command = trial.Quantize("--rank", "4");
                command[3] = output;
                ToolResult result = Tool.Run(command);
                Assert.True(result.ExitCode is 0 or 10 or 14, result.Error);
                Assert.True(result.IsCoded, result.Error);
                if (result.ExitCode != 0)
                {
                    Assert.Equal(older[..1000], File.ReadAllBytes(output));
                }

                File.Delete(Path.Combine(disk, "filler"));
                Assert.DoesNotContain(Directory.GetFileSystemEntries(disk), path => path.EndsWith(".tmp", StringComparison.Ordinal));
                File.Delete(output + ".data");
            }
        }
        finally
        {
            Shell($"umount '{disk}'");
        }
    }

    [UnixFact]
    public void No_folder_for_temporary_files_is_no_obstacle()
    {
        using var trial = new Trial();
        foreach (string temporary in (string[])[Path.Combine(trial.Folder, "none"), "/proc", "/dev/null"])
        {
            using Tool tool = Tool.Start(new Dictionary<string, string> { ["TMPDIR"] = temporary }, [], trial.Quantize());
            ToolResult result = tool.Finish();
            Assert.True(result.ExitCode == 0, result.Error);
            Assert.False(Directory.Exists(Path.Combine(trial.Folder, "none")));
        }
    }

    [UnixFact]
    public void An_output_folder_that_takes_no_file_is_an_error_at_once()
    {
        using var trial = new Trial();
        string[] command = trial.Quantize();
        foreach (string output in (string[])["/proc/m.onnx", "/sys/m.onnx", Path.Combine(trial.Model, "m.onnx")])
        {
            command[3] = output;
            ToolResult result = Tool.Run(command);
            Assert.Equal(10, result.ExitCode);
            Assert.Contains("ZQFP0002", result.Error, StringComparison.Ordinal);
        }

        Directory.CreateDirectory(trial.Output + ".lock");
        ToolResult locked = Tool.Run(trial.Quantize());
        Assert.Contains("ZQFP0019", locked.Error, StringComparison.Ordinal);
        Assert.Equal(10, locked.ExitCode);
    }

    [UnixFact]
    public void Few_handles_are_enough_or_an_error()
    {
        using var trial = new Trial();
        foreach (int handles in (int[])[64, 40])
        {
            string limited = string.Create(CultureInfo.InvariantCulture, $"ulimit -n {handles}; exec \"$@\"");
            using Tool tool = Tool.Start([], ["sh", "-c", limited, "sh"], trial.Quantize());
            ToolResult result = tool.Finish();
            Assert.True(result.ExitCode == 0 || !File.Exists(trial.Output), result.Error);
            Assert.True(handles < 64 || result.IsCoded, result.Error);
            Assert.Empty(trial.Strays());
        }
    }

    [UnixFact]
    public void Little_memory_is_an_error_and_leaves_nothing()
    {
        foreach (string heap in (string[])["0x2000000", "0x1000000", "0x800000"])
        {
            using var trial = new Trial();
            using Tool tool = Tool.Start(new Dictionary<string, string> { ["DOTNET_GCHeapHardLimit"] = heap }, [], trial.Quantize());
            ToolResult result = tool.Finish();
            Assert.True(result.IsCoded, $"{heap}: {result.ExitCode} {result.Error}");
            Assert.True(result.ExitCode == 0 || !File.Exists(trial.Output));
            Assert.Empty(trial.Strays());
        }
    }

    [UnixFact]
    public void A_signal_ends_a_run_in_order()
    {
        using var trial = new Trial();
        foreach (string signal in (string[])["INT", "TERM"])
        {
            using Tool tool = Tool.Start(trial.Quantize("--work", trial.Work));
            while (!File.Exists(trial.Output + ".lock.holder"))
            {
                Thread.Sleep(5);
            }

            Shell($"kill -{signal} {tool.Id.ToString(CultureInfo.InvariantCulture)}");
            ToolResult result = tool.Finish();
            Assert.True(result.ExitCode is 130 or 0, result.Error);
            Assert.Empty(trial.Strays());
        }
    }

    [Fact]
    public void A_clock_that_was_set_back_changes_nothing()
    {
        using var trial = new Trial();
        Assert.Equal(0, Tool.Run(trial.Quantize("--work", trial.Work)).ExitCode);
        byte[] expected = trial.OutputBytes!;
        DateTime future = DateTime.UtcNow.AddYears(1);
        foreach (string file in Directory.GetFiles(trial.Folder, "*", SearchOption.AllDirectories))
        {
            File.SetLastWriteTimeUtc(file, future);
        }

        ToolResult result = Tool.Run(trial.Quantize("--work", trial.Work));
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("14 of 14 layers are kept", result.Error, StringComparison.Ordinal);
        Assert.Equal(expected, trial.OutputBytes);
    }

    [UnixFact]
    public void Links_planted_where_a_run_writes_are_not_followed()
    {
        using var trial = new Trial();
        string victim = Path.Combine(trial.Folder, "victim");
        File.WriteAllText(victim, "precious");
        Directory.CreateDirectory(trial.OutputFolder);
        foreach (string name in (string[])["m.onnx", "m.onnx.data", "m.onnx.tmp", "m.onnx.data.tmp", "m.onnx.lock.holder"])
        {
            File.CreateSymbolicLink(Path.Combine(trial.OutputFolder, name), victim);
        }

        ToolResult result = Tool.Run(trial.Quantize());
        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Equal("precious", File.ReadAllText(victim));
        Assert.Null(new FileInfo(trial.Output).LinkTarget);
    }

    private static int Shell(string command)
    {
        using Process shell = Process.Start(new ProcessStartInfo("sh", ["-c", command]) { RedirectStandardError = true })!;
        shell.WaitForExit();
        return shell.ExitCode;
    }
}
