using System.Globalization;
using System.Text;

namespace Zqfp.Tool;

/// <summary>Writes the script that submits an array of shards to Slurm, and a merge that begins when all of them have succeeded.</summary>
internal static class SlurmScript
{
    // The word that ends what a shell passes on unchanged; no argument has it on a line of its own.
    private const string End = "END_OF_JOB";
    private const long MiB = 1 << 20;

    /// <summary>The script.</summary>
    /// <param name="commands">What the jobs run.</param>
    /// <param name="tool">How the tool is started, as a shell reads it.</param>
    /// <param name="options">Options for sbatch.</param>
    public static string Of(ShardCommands commands, string tool, IReadOnlyList<string> options)
    {
        string[] resources =
        [
            .. commands.Options.Threads > 0 ? [Text($"--cpus-per-task={commands.Options.Threads}")] : (string[])[],
            .. commands.Options.Memory is { } memory ? [Text($"--mem={(memory + MiB - 1) / MiB}M")] : (string[])[],
            .. commands.NeedsGpu && !options.Any(NamesGpus) ? ["--gpus-per-node=1"] : (string[])[],
            .. options,
        ];
        string array = Text($"--array=0-{commands.Count - 1}");
        string shard = Job([$"--job-name={commands.Name}-shards", array, "--requeue", .. resources], tool, commands.Shard);
        string merge = Job(
            [$"--job-name={commands.Name}-merge", "--dependency=afterok:$array", "--kill-on-invalid-dep=yes", "--requeue", .. resources],
            tool,
            commands.Merge);
        return $"""
            #!/bin/sh
            # Submits {commands.Count} shards of a quantization, and a merge that begins when all of them have succeeded. Run it where the
            # paths below begin, such as with: sh submit.sh. A shard that failed is run again by running this script again: what is
            # finished is kept in the work folder.
            set -eu
            array=$({shard}
            )
            array=$(printf '%s' "$array" | cut -d ';' -f 1)
            if ! merge=$({merge}
            )
            then
                echo "array $array was submitted, its merge was not; to end the array: scancel $array" >&2
                exit 1
            fi
            echo "array $array, merge $merge"

            """.ReplaceLineEndings("\n");
    }

    private static string Job(IEnumerable<string> options, string tool, IReadOnlyList<string> arguments)
    {
        var text = new StringBuilder("sbatch --parsable");
        foreach (string option in options)
        {
            text.Append(' ').Append(option.EndsWith("$array", StringComparison.Ordinal) ? $"\"{option}\"" : ShellText.Quote(option));
        }

        return text.Append(" <<'").Append(End).Append("'\n#!/bin/sh\nset -eu\nexec ").Append(tool).Append(' ')
            .AppendJoin(' ', arguments.Select(ShellText.Quote)).Append('\n').Append(End).ToString();
    }

    /// <summary>Whether an option of sbatch says what GPUs a task gets.</summary>
    private static bool NamesGpus(string option) =>
        option.Contains("gpu", StringComparison.Ordinal) || option.StartsWith("-G", StringComparison.Ordinal);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
