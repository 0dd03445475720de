using System.Globalization;

namespace Zqfp.Quantization;

/// <summary>One of several shares of a quantization, which processes that have nothing in common but the work folder do.</summary>
/// <param name="Index">Which one, from 0 on.</param>
/// <param name="Count">How many there are.</param>
internal sealed record Shard(int Index, int Count)
{
    /// <summary>The variable that a Kubernetes Job does not set by itself: how many completions it has.</summary>
    public const string CountVariable = "ZQFP_SHARDS";

    private const string Code = "ZQFP0040";

    /// <summary>As people write it.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Index + 1}/{Count}");

    /// <summary>The shard of a task of a Slurm array, or of a pod of an Indexed Job.</summary>
    /// <param name="variable">The environment: a variable's value, or null.</param>
    /// <exception cref="ZqfpException">ZQFP0040: the environment is of neither, or says what cannot be.</exception>
    public static Shard Of(Func<string, string?> variable)
    {
        if (Number(variable, "SLURM_ARRAY_TASK_ID") is { } task)
        {
            // Ids of an array need not begin at 0 or follow one another: --array=1-4, --array=0-6:2.
            int first = Number(variable, "SLURM_ARRAY_TASK_MIN") ?? 0;
            int step = Number(variable, "SLURM_ARRAY_TASK_STEP") ?? 1;
            int count = Number(variable, "SLURM_ARRAY_TASK_COUNT") ?? throw Absent("SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_ID");
            return Checked(step > 0 && (task - first) % step == 0 ? (task - first) / step : -1, count,
                $"SLURM_ARRAY_TASK_ID={task} of {count} tasks from {first} on by {step}");
        }

        if (Number(variable, "JOB_COMPLETION_INDEX") is { } index)
        {
            int count = Number(variable, CountVariable) ?? throw Absent(CountVariable, "JOB_COMPLETION_INDEX");
            return Checked(index, count, $"JOB_COMPLETION_INDEX={index} of {CountVariable}={count}");
        }

        throw new ZqfpException(Code,
            "--shard auto takes its number from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX, and neither is set. Run it in a Slurm array "
            + "or an Indexed Job, or name the shard, as in --shard 1/4.");
    }

    private static Shard Checked(int index, int count, string said) => index >= 0 && index < count
        ? new Shard(index, count)
        : throw new ZqfpException(Code,
            $"The environment names no shard: {said}. Give the array a range without gaps, such as --array=0-3, or name the shard, as in "
            + "--shard 1/4.");

    private static ZqfpException Absent(string missing, string beside) => new(Code,
        $"--shard auto found {beside} without {missing}, which says how many shards there are. Set it, or name the shard, as in --shard "
        + "1/4.");

    private static int? Number(Func<string, string?> variable, string name) => variable(name) switch
    {
        null or "" => null,
        var text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value)
            ? value
            : throw new ZqfpException(Code, $"{name}={text} is no number, so no shard can be told from it."),
    };
}
