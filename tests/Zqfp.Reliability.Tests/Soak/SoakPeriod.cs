using System.Globalization;

namespace Zqfp.Reliability.Tests;

/// <summary>What commands of the last minutes held at most, told when they are over: a figure over time.</summary>
internal sealed class SoakPeriod
{
    private ProcessSample _most;
    private TimeSpan _end = Length;
    private int _commands;
    private long _bytes;

    /// <summary>How long a period is.</summary>
    public static TimeSpan Length { get; } = TimeSpan.FromMinutes(5);

    public void Add(TimeSpan elapsed, ProcessSample sample, long bytes)
    {
        _most = _most.Or(sample);
        _commands++;
        _bytes = bytes;
        if (elapsed > _end)
        {
            End();
            (_most, _commands, _end) = (default, 0, _end + Length);
        }
    }

    public void End() => Effort.Report(string.Create(CultureInfo.InvariantCulture,
        $"soak, until {_end.TotalMinutes:0} minutes: {_commands} commands, at most {_most.PeakBytes >> 20} MB and {_most.Handles} handles; "
        + $"{_bytes / 1e6:0.0} MB in the folder"));
}
