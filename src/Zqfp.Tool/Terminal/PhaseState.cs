using System.Globalization;
using Zqfp.Pipeline;

namespace Zqfp.Tool.Terminal;

/// <summary>A phase of a job as it stands: how far, how fast, how long still.</summary>
/// <param name="Progress">What the job reported.</param>
/// <param name="Elapsed">Time since the phase began.</param>
/// <param name="IsFirst">Whether this is the first report of the phase.</param>
internal sealed record PhaseState(JobProgress Progress, TimeSpan Elapsed, bool IsFirst)
{
    /// <summary>Whether the phase is done.</summary>
    public bool IsLast => Progress.Total > 0 && Progress.Done >= Progress.Total;

    /// <summary>One line: phase, count, rate, and where the total is known share and remaining time.</summary>
    public string Describe()
    {
        string line = Progress.Total > 0
            ? string.Create(CultureInfo.InvariantCulture, $"{Progress.Phase}: {Progress.Done}/{Progress.Total} {Progress.Unit} ({100 * Progress.Done / Progress.Total} %)")
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
                line += $", {Clock(TimeSpan.FromSeconds((Progress.Total - Progress.Done) / rate))} left";
            }
        }

        return line;
    }

    private static string Clock(TimeSpan time) =>
        time.ToString(time.TotalHours < 1 ? @"m\:ss" : @"h\:mm\:ss", CultureInfo.InvariantCulture);
}
