using System.Diagnostics;

namespace Zqfp.Quantization;

/// <summary>Adds up how long each phase of a run takes.</summary>
internal sealed class PhaseClock
{
    private readonly Dictionary<string, double> _seconds = [];

    /// <summary>Seconds by phase, in the order the phases first ran.</summary>
    public IReadOnlyDictionary<string, double> Seconds => _seconds;

    /// <summary>Runs <paramref name="work"/> and counts its time to <paramref name="phase"/>.</summary>
    public T Measure<T>(string phase, Func<T> work)
    {
        long start = Stopwatch.GetTimestamp();
        T result = work();
        _seconds[phase] = _seconds.GetValueOrDefault(phase) + Stopwatch.GetElapsedTime(start).TotalSeconds;
        return result;
    }
}
