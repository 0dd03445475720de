using System.Globalization;
using Zqfp.CudaOps;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>The command lines of a quantization that tasks divide among them: the one of every shard, and that of the merge.</summary>
internal sealed record ShardCommands
{
    private static readonly string[] OfSubmit = ["--shard", "--merge", "--shards", "--dry-run"];

    /// <summary>Arguments of every shard; what tells them apart is in the environment.</summary>
    public required IReadOnlyList<string> Shard { get; init; }

    /// <summary>Arguments of the merge.</summary>
    public required IReadOnlyList<string> Merge { get; init; }

    /// <summary>How many shards there are.</summary>
    public required int Count { get; init; }

    /// <summary>What is quantized, and how.</summary>
    public required QuantizeOptions Options { get; init; }

    /// <summary>A name for jobs: lower-case letters, digits and hyphens, as Kubernetes wants it.</summary>
    public required string Name { get; init; }

    /// <summary>Whether each of them computes on a GPU, which a task is given as the only one it sees.</summary>
    public bool NeedsGpu => Options.Device is ZqfpDevice.Cuda or ZqfpDevice.CudaProducts;

    /// <summary>Divides a command of <c>quantize</c>.</summary>
    /// <param name="arguments">What would stand behind <c>quantize</c>.</param>
    /// <param name="count">How many shards there are.</param>
    /// <param name="name">The name of the jobs, or null.</param>
    /// <exception cref="ZqfpException">
    /// ZQFP0040: it cannot be divided. ZQFP0042: it is no command of <c>quantize</c>, or the name is none.
    /// </exception>
    public static ShardCommands Of(IReadOnlyList<string> arguments, int count, string? name)
    {
        if (arguments.FirstOrDefault(argument => OfSubmit.Any(option => Is(argument, option))) is { } own)
        {
            throw new ZqfpException("ZQFP0042", $"'{own}' is written by 'submit' itself: leave it out behind '--'.");
        }

        QuantizeOptions options = QuantizeCommand.Parse(RecipeOptions.Expand(["quantize", .. arguments])) with { Shards = count };
        QuantizeOptionRules.CheckShards(options with { Shard = new Shard(0, count) });
        if (options.Gpu != 0)
        {
            throw new ZqfpException("ZQFP0042",
                $"'--gpu {options.Gpu}' counts the GPUs of one machine, and each task is given one of its own: leave it out.");
        }

        string job = name ?? Label(Path.GetFileNameWithoutExtension(options.OutputPath));
        return new ShardCommands
        {
            Shard = ["quantize", .. WithoutResult(arguments), "--shard", ShardText.Automatic],
            Merge = ["quantize", .. arguments, "--merge", "--shards", count.ToString(CultureInfo.InvariantCulture)],
            Count = count,
            Options = options,
            Name = IsLabel(job) ? job : throw new ZqfpException("ZQFP0042",
                $"'{job}' is no name for jobs. Use --name with lower-case letters, digits and hyphens, at most 50."),
        };
    }

    // Room is left for what stands behind it.
    private static bool IsLabel(string name) => name.Length is > 0 and <= 50 && name == Label(name);

    private static string Label(string text)
    {
        string label = string.Concat(text.ToLowerInvariant().Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : '-')).Trim('-');
        return label.Length == 0 || char.IsAsciiDigit(label[0]) ? ("quantize-" + label).Trim('-') : label;
    }

    /// <summary>The result of a shard is its layers; the file is for the merge's.</summary>
    private static IEnumerable<string> WithoutResult(IReadOnlyList<string> arguments)
    {
        for (int i = 0; i < arguments.Count; i++)
        {
            if (Is(arguments[i], "--result"))
            {
                i += arguments[i].Length > "--result".Length ? 0 : 1;
            }
            else
            {
                yield return arguments[i];
            }
        }
    }

    private static bool Is(string argument, string option) =>
        argument.StartsWith(option, StringComparison.Ordinal)
            && (argument.Length == option.Length || argument[option.Length] is '=' or ':');
}
