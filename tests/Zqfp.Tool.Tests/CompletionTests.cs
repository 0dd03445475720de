using System.Diagnostics;

namespace Zqfp.Tool.Tests;

public sealed class CompletionTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-completion-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("qu", "quantize")]
    [InlineData("quantize --wei", "--weights")]
    [InlineData("quantize --weights ", "fp4 fp8 int4 int8")]
    [InlineData("completion ", "bash pwsh zsh")]
    public void What_could_come_next_is_told_a_line_each(string typed, string expected)
    {
        ToolProcess result = ToolProcess.Run($"[suggest:{typed.Length}]", typed);

        Assert.Equal(0, result.ExitCode);
        Assert.Subset(result.Output.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries).ToHashSet(),
            expected.Split(' ').ToHashSet());
    }

    [Theory]
    [InlineData("bash", "complete -o default")]
    [InlineData("zsh", "compdef")]
    [InlineData("pwsh", "Register-ArgumentCompleter")]
    public void Each_shell_has_a_script_that_says_how_to_install_it(string shell, string expected)
    {
        ToolProcess result = ToolProcess.Run("completion", shell);

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains(expected, result.Output, StringComparison.Ordinal);
        Assert.Contains($"dotnet zqfp completion {shell}", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain('\r', result.Output);
    }

    [Fact]
    public void Another_shell_is_a_usage_error() => Assert.Equal(2, ToolProcess.Run("completion", "fish").ExitCode);

    [UnixFact]
    public void Bash_asks_the_tool_for_both_of_its_names_and_dotnet_for_the_rest()
    {
        // The programs only repeat what they are asked.
        Stub("dotnet-zqfp", "echo \"--asked-tool=$1|$2\"");
        Stub("dotnet", "if [ \"$1\" = zqfp ]; then echo \"--asked-dotnet=$2|$3\"; else echo build; fi");
        File.WriteAllText(Path.Combine(_folder, "script"), ToolProcess.Run("completion", "bash").Output);

        Assert.Equal("--asked-tool=[suggest:12]|quantize --a", Complete("dotnet-zqfp quantize --a", "--a"));
        Assert.Equal("--asked-dotnet=[suggest:12]|quantize --a", Complete("dotnet zqfp quantize --a", "--a"));
        Assert.Equal("build", Complete("dotnet bui", "bui"));
    }

    private string Complete(string line, string word)
    {
        string test = $"""
            source "{_folder}/script"
            COMP_LINE="{line}"; COMP_POINT={line.Length}; COMP_WORDS=("{word}"); COMP_CWORD=0
            _zqfp_complete
            printf '%s\n' "${"{COMPREPLY[@]}"}"
            """;
        var start = new ProcessStartInfo("bash", ["-c", test]) { RedirectStandardOutput = true };
        start.Environment["PATH"] = _folder + ":" + Environment.GetEnvironmentVariable("PATH");
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return output.Trim();
    }

    private void Stub(string name, string body)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, $"#!/bin/sh\n{body}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }
    }
}
