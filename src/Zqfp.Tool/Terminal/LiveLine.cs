using System.Diagnostics;

namespace Zqfp.Tool;

/// <summary>One line that is written over: ten times a second at most, and each half second while a job has nothing to report.</summary>
internal sealed class LiveLine : ProgressView
{
    private const int BarCells = 16;

    /// <summary>Below this width the bar leaves its room to the text.</summary>
    private const int RoomForBar = 72;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(500);

    private readonly Lock _lock = new();
    private readonly Timer _timer;
    private PhaseState? _state;
    private long _reported;
    private TimeSpan _next;

    public LiveLine() => _timer = new Timer(_ => Tick(), null, Beat, Beat);

    public override void Show(PhaseState state)
    {
        lock (_lock)
        {
            _state = state.IsLast ? null : state;
            _reported = Stopwatch.GetTimestamp();
            if (state.Elapsed < _next && !state.IsFirst && !state.IsLast)
            {
                return;
            }

            _next = state.Elapsed + Interval;
            Draw(state);
            if (state.IsLast)
            {
                Console.Error.WriteLine();
            }
        }
    }

    public override void Clear()
    {
        lock (_lock)
        {
            _state = null;
            Console.Error.Write(PlainWriter.LineAnew);
        }
    }

    public override void Dispose()
    {
        _timer.Dispose();
        base.Dispose();
    }

    private void Tick()
    {
        lock (_lock)
        {
            if (_state is null)
            {
                return;
            }

            Draw(_state with { Waited = Stopwatch.GetElapsedTime(_reported) });
        }
    }

    private static void Draw(PhaseState state)
    {
        int width = (Style.Error.Width ?? RoomForBar) - 1;
        string bar = width >= RoomForBar && !state.IsLast ? state.Bar(BarCells) : "";
        string text = PrintableText.Line($"{bar} {state.Describe()}  {state.Progress.Detail}".Trim());
        Console.Error.Write(PlainWriter.LineAnew + (text.Length > width ? text[..width] : text));
    }
}
