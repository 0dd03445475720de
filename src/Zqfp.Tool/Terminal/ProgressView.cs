namespace Zqfp.Tool.Terminal;

/// <summary>Shows progress on standard error.</summary>
internal abstract class ProgressView
{
    /// <summary>The view for this process: a live line on a terminal, lines at milestones elsewhere, or nothing.</summary>
    public static ProgressView Create(bool quiet) => quiet ? new NoProgress() : Style.Error.IsTerminal ? new LiveLine() : new MilestoneLines();

    /// <summary>Shows the state of a phase.</summary>
    public abstract void Show(PhaseState state);

    /// <summary>Leaves the line to other output.</summary>
    public virtual void Clear()
    {
    }

    private sealed class NoProgress : ProgressView
    {
        public override void Show(PhaseState state)
        {
        }
    }

    /// <summary>One line that is written over, ten times a second at most.</summary>
    private sealed class LiveLine : ProgressView
    {
        private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);
        private TimeSpan _next;

        public override void Show(PhaseState state)
        {
            if (state.Elapsed < _next && !state.IsFirst && !state.IsLast)
            {
                return;
            }

            _next = state.Elapsed + Interval;
            string text = $"{state.Describe()}  {state.Progress.Detail}".TrimEnd();
            int width = WindowWidth() - 1;
            Console.Error.Write("\r\u001b[K" + (text.Length > width ? text[..width] : text));
            if (state.IsLast)
            {
                Console.Error.WriteLine();
            }
        }

        public override void Clear() => Console.Error.Write("\r\u001b[K");

        private static int WindowWidth()
        {
            const int Usual = 80;
            try
            {
                return Console.WindowWidth > 1 ? Console.WindowWidth : Usual;
            }
            catch (IOException)
            {
                return Usual;
            }
        }
    }

    /// <summary>A line when a phase begins, at each quarter, and when it ends.</summary>
    private sealed class MilestoneLines : ProgressView
    {
        private const int Quarters = 4;
        private long _shown;

        public override void Show(PhaseState state)
        {
            long quarter = state.Progress.Total > 0 ? Quarters * state.Progress.Done / state.Progress.Total : 0;
            if (state.IsFirst || quarter > _shown)
            {
                Console.Error.WriteLine(state.Describe());
                _shown = quarter;
            }
        }
    }
}
