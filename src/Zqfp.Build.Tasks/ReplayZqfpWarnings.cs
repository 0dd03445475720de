using System.Diagnostics.CodeAnalysis;
using Microsoft.Build.Framework;

namespace Zqfp.Build.Tasks;

/// <summary>
/// Gives the warnings of steps that were up to date again: a build that skips work must say what the build that did it said,
/// or a warning turned into an error would fail once and then pass.
/// </summary>
[SuppressMessage("Performance", "CA1819:Properties should not return arrays", Justification = "MSBuild binds arrays of items.")]
[MSBuildMultiThreadableTask]
public sealed class ReplayZqfpWarnings : Microsoft.Build.Utilities.Task
{
    /// <summary>The files of warnings of all models.</summary>
    [Required]
    public ITaskItem[] WarningFiles { get; set; } = [];

    /// <summary>Those whose step ran in this build, and so has spoken already.</summary>
    public ITaskItem[] Executed { get; set; } = [];

    /// <summary>The folder or the address of the pages about diagnostics; empty for none.</summary>
    public string HelpLinkBase { get; set; } = string.Empty;

    /// <inheritdoc/>
    public override bool Execute()
    {
        var links = new HelpLinks(HelpLinkBase);
        var spoken = new HashSet<string>(Executed.Select(file => file.ItemSpec), StringComparer.Ordinal);
        foreach (string file in WarningFiles.Select(item => item.ItemSpec).Where(file => !spoken.Contains(file) && File.Exists(file)))
        {
            foreach (string line in File.ReadAllLines(file))
            {
                ToolDiagnostic.Parse(line)?.LogTo(Log, links);
            }
        }

        return !Log.HasLoggedErrors;
    }
}
