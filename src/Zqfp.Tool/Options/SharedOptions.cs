using System.CommandLine;

namespace Zqfp.Tool;

/// <summary>What every command takes.</summary>
internal sealed class SharedOptions
{
    public Option<int> Threads { get; } = Number.WholeOrZero("--threads", "Threads used at most [default: one a processor]; the result does not depend on it");

    public Option<bool> Json { get; } = new("--json") { Description = "Write the result as JSON" };

    public Option<bool> Quiet { get; } = new("--quiet", "-q") { Description = "Show no progress" };

    /// <summary>Adds the options to a command; one that computes nothing takes no threads.</summary>
    public void AddTo(Command command, bool computes = true)
    {
        if (computes)
        {
            command.Options.Add(Threads);
        }

        command.Options.Add(Json);
        command.Options.Add(Quiet);
    }
}
