using System.Globalization;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.Quantization;

namespace Zqfp.Tool;

/// <summary>What several options say together.</summary>
internal static class GivenOptionsExtensions
{
    /// <summary>How texts are read where their names do not tell.</summary>
    public static TextReading Reading(this GivenOptions given) => new()
    {
        JsonField = given.Required("--json-field"),
        DocumentMarker = given.Text("--document-marker"),
        DocumentSeparator = given.Text("--document-separator"),
        Beginning = given.Choice<BeginningPolicy>("--bos"),
    };

    /// <summary>Which layers are quantized, and which differently.</summary>
    public static LayerSelection Selection(this GivenOptions given) => new()
    {
        Include = given.List("--include"),
        Exclude = given.List("--exclude"),
        MinSize = given.Whole("--min-size"),
        Overrides = [.. given.List("--override").Select(text => Override(OverrideText.Parse(text)))],
    };

    /// <summary>Within what formats are chosen layer by layer; null where nothing is limited.</summary>
    public static Budget? Budget(this GivenOptions given)
    {
        var budget = new Budget
        {
            Bits = given.Number("--bits"),
            Bytes = given.Text("--size") is { } size ? ByteSize.Parse(size) : null,
            MaxIncrease = given.Percentage("--max-increase"),
        };
        return budget == new Budget() ? null : budget;
    }

    /// <summary>The share of the work that this process is to do; null for all of it.</summary>
    /// <exception cref="ZqfpException">ZQFP0040: the environment was to say it, and does not.</exception>
    public static Shard? Shard(this GivenOptions given) => given.Text("--shard") is not { } text ? null
        : ShardText.Parse(text) is { IsAutomatic: false } named ? new Shard(named.Number - 1, named.Count)
        : Quantization.Shard.Of(Environment.GetEnvironmentVariable);

    /// <summary>How weights are quantized, before a preset.</summary>
    public static QuantizationOptions Weights(this GivenOptions given) => OptionWords.Format(
        given.Required("--weights"), new LayerOverride("*")).Apply(new QuantizationOptions
        {
            Method = given.Choice<QuantizationMethod>("--method"),
            GroupSize = given.Whole("--group-size"),
            Constraint = given.Choice<ScaleConstraint>("--constraint"),
            Rounding = given.Choice<PowerRounding>("--rounding"),
            ScaleStorage = given.Choice<ScaleStorage>("--scale-storage"),
            Damping = given.Number("--damping") ?? throw new InvalidOperationException("--damping has a default."),
            Rank = given.Whole("--rank"),
        });

    private static LayerOverride Override(OverrideText text)
    {
        var entry = new LayerOverride(text.Pattern);
        foreach ((string key, string value) in text.Changes)
        {
            entry = key switch
            {
                "format" => value == OverrideText.KeepFloat
                    ? entry with { KeepFloat = true }
                    : OptionWords.Format(value, entry),
                "group-size" => entry with { GroupSize = Number(value) },
                _ => entry with { Rank = Number(value) },
            };
        }

        return entry;
    }

    private static int Number(string value) => int.Parse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
}
