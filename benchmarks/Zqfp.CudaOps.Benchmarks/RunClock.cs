using System.Diagnostics;

namespace Zqfp.Benchmarks;

/// <summary>Says how long a run took.</summary>
/// <param name="ownTime">Whether by the process's own time: with one thread other work on the machine then takes little from it.</param>
internal sealed class RunClock(bool ownTime)
{
    /// <summary>Seconds since some moment.</summary>
    public double Now => ownTime
        ? Environment.CpuUsage.TotalTime.TotalSeconds
        : (double)Stopwatch.GetTimestamp() / Stopwatch.Frequency;

    /// <summary>Runs something and says how many seconds it took.</summary>
    public double Time(Action run)
    {
        double start = Now;
        run();
        return Now - start;
    }
}
