namespace Zqfp.Reliability.Tests;

/// <summary>Collects what a job says, and does something at each report.</summary>
internal sealed class Observer(Action<JobProgress>? reported = null) : IJobObserver
{
    public List<string> Notes { get; } = [];

    public void Report(JobProgress progress) => reported?.Invoke(progress);

    public void Warn(Diagnostic warning)
    {
    }

    public void Note(string message, bool isDetail) => Notes.Add(message);
}
