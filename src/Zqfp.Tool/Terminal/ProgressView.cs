namespace Zqfp.Tool;

/// <summary>Shows progress on standard error.</summary>
internal abstract class ProgressView : IDisposable
{
    /// <summary>The view for this process: a live line on a terminal, lines at milestones elsewhere, or nothing.</summary>
    public static ProgressView Create(bool quiet) => quiet
        ? new NoProgress()
        : Style.Error.IsTerminal ? new LiveLine()
        : new MilestoneLines();

    /// <summary>Shows the state of a phase.</summary>
    public abstract void Show(PhaseState state);

    /// <summary>Shows a line that needs nobody's attention.</summary>
    public virtual void Note(string message) => Console.Error.WriteLine(PrintableText.Line(message));

    /// <summary>Leaves the line to other output.</summary>
    public virtual void Clear()
    {
    }

    public virtual void Dispose()
    {
    }

    private sealed class NoProgress : ProgressView
    {
        public override void Note(string message)
        {
        }

        public override void Show(PhaseState state)
        {
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
                Console.Error.WriteLine(PrintableText.Line(state.Describe()));
                _shown = quarter;
            }
        }
    }
}
