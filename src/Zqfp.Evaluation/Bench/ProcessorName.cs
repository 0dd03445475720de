using System.Runtime.InteropServices;

namespace Zqfp.Evaluation;

/// <summary>What the processor is called.</summary>
internal static class ProcessorName
{
    private const string LinuxFile = "/proc/cpuinfo";

    /// <summary>The name as the system tells it; its architecture where it tells none.</summary>
    public static string Read()
    {
        string? name = OperatingSystem.IsWindows() ? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") : FromLinux();
        return string.IsNullOrWhiteSpace(name) ? RuntimeInformation.ProcessArchitecture.ToString() : name.Trim();
    }

    private static string? FromLinux()
    {
        try
        {
            return File.ReadLines(LinuxFile).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?
                .Split(':', 2)[^1];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
