using System.Globalization;

namespace Zqfp.OnnxRewriter;

/// <summary>The properties a quantized model carries: what was done, no times, no paths.</summary>
internal static class ModelProperties
{
    /// <summary>The recipe in words.</summary>
    public const string RecipeKey = "zqfp.recipe";

    /// <summary>Number of quantized layers.</summary>
    public const string LayersKey = "zqfp.layers";

    /// <summary>Bits stored for each quantized weight.</summary>
    public const string BitsKey = "zqfp.bits_per_weight";

    /// <summary>The profile the file is written in.</summary>
    public const string ProfileKey = "zqfp.profile";

    /// <summary>SHA-256 of structure and weights.</summary>
    public const string ContentKey = "zqfp.content";

    /// <summary>Present, and <c>true</c>, where the model only simulates its formats: its weights are float.</summary>
    public const string SimulatedKey = "zqfp.simulated";

    /// <summary>This project's version.</summary>
    public const string VersionKey = "zqfp.version";

    /// <summary>This project's version, without build metadata.</summary>
    public static string Version { get; } = typeof(ModelProperties).Assembly.GetName().Version!.ToString(3);

    /// <summary>The properties to add, all but the content's hash.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Make(
        string recipe, EmissionProfile profile, int layers, double bitsPerWeight) =>
    [
        new(VersionKey, Version),
        new(RecipeKey, recipe),
        new(ProfileKey, profile.Name()),
        new(LayersKey, layers.ToString(CultureInfo.InvariantCulture)),
        new(BitsKey, bitsPerWeight.ToString("F3", CultureInfo.InvariantCulture)),
        .. profile == EmissionProfile.Simulated ? [new(SimulatedKey, "true")] : (KeyValuePair<string, string>[])[],
    ];
}
