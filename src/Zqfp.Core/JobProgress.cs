namespace Zqfp;

/// <summary>How far a job is.</summary>
/// <param name="Phase">What it does, such as <c>Quantizing</c>.</param>
/// <param name="Done">Units done.</param>
/// <param name="Total">Units in all.</param>
/// <param name="Unit">What is counted, in the plural: <c>layers</c>, <c>windows</c>.</param>
/// <param name="Detail">What it is at, such as a layer's name.</param>
internal sealed record JobProgress(string Phase, long Done, long Total, string Unit, string? Detail = null);

/// <summary>Where a job reports to while it runs. Both may be called from any thread, one call at a time.</summary>
internal interface IJobObserver
{
    /// <summary>Tells how far the job is.</summary>
    void Report(JobProgress progress);

    /// <summary>Gives a warning. Errors are thrown.</summary>
    void Warn(Diagnostic warning);

    /// <summary>Tells something that nobody has to act on: what is waited for, what is taken over from an earlier run.</summary>
    /// <param name="message">One line.</param>
    /// <param name="isDetail">Whether it only explains, such as why something is computed again.</param>
    void Note(string message, bool isDetail = false)
    {
    }
}
