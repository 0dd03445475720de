using System.Diagnostics;

namespace Zqfp.Tool;

/// <summary>Passes a job's reports to the view, with the time each phase has taken.</summary>
internal sealed class ProgressObserver(ProgressView view) : IJobObserver, IDisposable
{
    /// <summary>What a line begins with that a build shows among its own.</summary>
    public const string NotePrefix = "note: ";

    private string? _phase;
    private long _began;
    private bool _lineIsOpen;

    public void Report(JobProgress progress)
    {
        bool isFirst = progress.Phase != _phase;
        if (isFirst)
        {
            Close();
            _phase = progress.Phase;
            _began = Stopwatch.GetTimestamp();
        }

        var state = new PhaseState(progress, Stopwatch.GetElapsedTime(_began), isFirst);
        view.Show(state);
        _lineIsOpen = !state.IsLast;
    }

    public void Warn(Diagnostic warning)
    {
        Close();
        DiagnosticWriter.Write(warning);
    }

    public void Note(string message, bool isDetail = false)
    {
        Close();
        view.Note(isDetail ? message : NotePrefix + message);
    }

    public void Dispose()
    {
        Close();
        view.Dispose();
    }

    private void Close()
    {
        if (_lineIsOpen)
        {
            view.Clear();
            _lineIsOpen = false;
        }
    }
}
