using System.Globalization;

namespace Zqfp.Reliability.Tests;

/// <summary>What a process holds, as Linux tells it.</summary>
/// <param name="Bytes">Memory that is resident now.</param>
/// <param name="PeakBytes">The most that was resident at once so far.</param>
/// <param name="Handles">Open files.</param>
/// <param name="Threads">Threads.</param>
internal readonly record struct ProcessSample(long Bytes, long PeakBytes, int Handles, int Threads)
{
    /// <summary>Samples a process; null when it has ended.</summary>
    public static ProcessSample? Of(int process)
    {
        try
        {
            string folder = string.Create(CultureInfo.InvariantCulture, $"/proc/{process}");
            Dictionary<string, string> status = File.ReadLines(folder + "/status").Select(line => line.Split(':', 2))
                .ToDictionary(parts => parts[0], parts => parts[1].Trim(), StringComparer.Ordinal);
            return status.TryGetValue("VmHWM", out string? peak)
                ? new ProcessSample(Kilobytes(status["VmRSS"]) * 1024, Kilobytes(peak) * 1024,
                    Directory.GetFileSystemEntries(folder + "/fd").Length, int.Parse(status["Threads"], CultureInfo.InvariantCulture))
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The most of each.</summary>
    public ProcessSample Or(ProcessSample other) => new(Math.Max(Bytes, other.Bytes), Math.Max(PeakBytes, other.PeakBytes),
        Math.Max(Handles, other.Handles), Math.Max(Threads, other.Threads));

    private static long Kilobytes(string text) => long.Parse(text.Split(' ')[0], CultureInfo.InvariantCulture);
}
