using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>
/// What a shard that goes from stage to stage with others says of itself in the work folder: shards that were started differently would
/// wait for each other without end.
/// </summary>
/// <param name="Key">Identifies all that its layers depend on.</param>
/// <param name="Parts">The same by what people can change, to say what is different.</param>
internal sealed record ShardNotice(string Key, IReadOnlyDictionary<string, string> Parts)
{
    /// <summary>What stands behind the name of the shard.</summary>
    public const string Extension = ".run";

    private const string OptionMark = "--";

    /// <summary>The stage that it is at.</summary>
    public int Stage { get; init; }

    /// <summary>Of a run.</summary>
    /// <param name="options">Its options.</param>
    /// <param name="layers">The keys of its layers.</param>
    /// <param name="file">The model.</param>
    /// <param name="windows">The calibration windows.</param>
    /// <param name="inputs">The files that the run reads.</param>
    /// <param name="cancellation">Ends reading the model.</param>
    public static ShardNotice Of(
        QuantizeOptions options, IEnumerable<LayerKey> layers, OnnxFile file, TokenWindowSet windows, InputFiles inputs,
        CancellationToken cancellation)
    {
        // Names of files say nothing about what is in them.
        Dictionary<string, string> parts = OptionList.Of(options).Where(option => option.Key is not ("calibration" or "tokenizer"))
            .ToDictionary(option => OptionMark + option.Key, option => option.Value);
        parts.Add(OptionMark + "device", options.Device.ToString().ToLowerInvariant());
        parts.Add("build of this tool", LayerKeys.Build);
        parts.Add("model", Convert.ToHexStringLower(ContentHash.OfModel(file, inputs, cancellation)));
        parts.Add("calibration text", windows.Hash());
        byte[] keys = Encoding.UTF8.GetBytes(string.Join('|', layers.Select(layer => layer.Hash)));
        return new ShardNotice(Convert.ToHexStringLower(SHA256.HashData(keys)), parts);
    }

    /// <summary>What another has that this one has not, in words; null where their layers are the same.</summary>
    public string? DifferenceFrom(ShardNotice other)
    {
        if (other.Key == Key)
        {
            return null;
        }

        string[] different =
        [
            .. Parts.Keys.Union(other.Parts.Keys).Where(part => Parts.GetValueOrDefault(part) != other.Parts.GetValueOrDefault(part))
                .Select(part => part.StartsWith(OptionMark, StringComparison.Ordinal)
                    ? $"another {part} ({Value(other, part)}; here {Value(this, part)})"
                    : $"another {part}")
        ];
        return different.Length > 0 ? string.Join(", ", different) : "other options";
    }

    /// <summary>Reads one; null where there is none, or none that this build reads.</summary>
    /// <param name="path">The path that the shard's lock protects.</param>
    public static ShardNotice? Read(string path)
    {
        try
        {
            ShardNotice? read = JsonSerializer.Deserialize<ShardNotice>(File.ReadAllText(path + Extension));
            return read is { Key: not null, Parts: not null } ? read : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes it.</summary>
    /// <param name="path">The path that the shard's lock protects.</param>
    /// <exception cref="ZqfpException">ZQFP0007: it cannot be written.</exception>
    public void Write(string path)
    {
        try
        {
            WholeFile.WriteText(path + Extension, JsonSerializer.Serialize(this));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0007",
                $"The folder of --work cannot be used: {NewFile.Explain(e)}", Path.GetDirectoryName(path), e);
        }
    }

    /// <summary>Removes one, and what killed processes were writing of it. Only the holder of the shard's lock may.</summary>
    public static void Remove(string path)
    {
        Leftovers.RemoveOf(path + Extension);
        Leftovers.TryDelete(path + Extension);
    }

    private static string Value(ShardNotice notice, string part) => notice.Parts.GetValueOrDefault(part) ?? "not given";
}
