using System.Globalization;

namespace Zqfp.Tool;

/// <summary>A phase of a job as it stands: how far, how fast, how long still.</summary>
/// <param name="Progress">What the job reported.</param>
/// <param name="Elapsed">Time from the begin of the phase to the report.</param>
/// <param name="IsFirst">Whether this is the first report of the phase.</param>
internal sealed record PhaseState(JobProgress Progress, TimeSpan Elapsed, bool IsFirst)
{
    /// <summary>Time since the report, which only the remaining time shows.</summary>
    public TimeSpan Waited { get; init; }

    /// <summary>Whether the phase is done.</summary>
    public bool IsLast => Progress.Total > 0 && Progress.Done >= Progress.Total;

    /// <summary>One line: phase, count, rate, and where the total is known share and remaining time.</summary>
    public string Describe()
    {
        string line = Progress.Total > 0
            ? string.Create(CultureInfo.InvariantCulture,
                $"{Progress.Phase}: {Progress.Done}/{Progress.Total} {Progress.Unit} ({100 * Progress.Done / Progress.Total} %)")
            : string.Create(CultureInfo.InvariantCulture, $"{Progress.Phase}: {Progress.Done} {Progress.Unit}");
        if (Progress.Done > 0 && Elapsed > TimeSpan.Zero)
        {
            double rate = Progress.Done / Elapsed.TotalSeconds;
            line += string.Create(CultureInfo.InvariantCulture, $", {rate:0.0} {Progress.Unit}/s");
            if (IsLast)
            {
                line += $", took {Clock(Elapsed)}";
            }
            else if (Progress.Total > 0)
            {
                TimeSpan left = TimeSpan.FromSeconds((Progress.Total - Progress.Done) / rate) - Waited;
                line += $", {Clock(left > TimeSpan.Zero ? left : TimeSpan.Zero)} left";
            }
        }
        else if (Waited >= TimeSpan.FromSeconds(1))
        {
            line += $", {Clock(Elapsed + Waited)}";
        }

        return line;
    }

    /// <summary>The share that is done as a bar of <paramref name="cells"/> characters; empty where the total is not known.</summary>
    public string Bar(int cells)
    {
        int full = Progress.Total > 0 ? (int)(cells * Math.Min(Progress.Done, Progress.Total) / Progress.Total) : 0;
        return Progress.Total > 0 ? new string('█', full) + new string('░', cells - full) : "";
    }

    private static string Clock(TimeSpan time) =>
        time.ToString(time.TotalHours < 1 ? @"m\:ss" : @"h\:mm\:ss", CultureInfo.InvariantCulture);
}
