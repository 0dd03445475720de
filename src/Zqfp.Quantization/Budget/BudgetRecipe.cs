using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>
/// Writes a plan as a recipe: with it, in place of the budget and beside the same other options, the same model comes out.
/// </summary>
internal static class BudgetRecipe
{
    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes it.</summary>
    /// <param name="path">Where to.</param>
    /// <param name="overrides">The plan.</param>
    /// <param name="windows">The number of calibration windows, where it is not what was asked for; else null.</param>
    /// <exception cref="ZqfpException">ZQFP0002: it cannot be written.</exception>
    public static void Write(string path, IEnumerable<LayerOverride> overrides, int? windows)
    {
        var recipe = new JsonObject();
        if (windows is { } count)
        {
            recipe["windows"] = count;
        }

        recipe["layerOverrides"] = new JsonArray([.. overrides.Select(entry => (JsonNode)$"{entry.Pattern}:{Text(entry)}")]);
        try
        {
            WholeFile.WriteText(path, recipe.ToJsonString(Readable).ReplaceLineEndings("\n") + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ZqfpException("ZQFP0002", $"The plan cannot be written: {NewFile.Explain(e)} Choose another --output.", path, e);
        }
    }

    /// <summary>Such as <c>fp4 g256 rank 8</c>.</summary>
    public static string Describe(LayerOverride entry) => entry switch
    {
        { KeepFloat: true } => "float",
        { Rank: > 0 } => $"{Word(entry)}{Group(entry)} rank {entry.Rank}",
        _ => $"{Word(entry)}{Group(entry)}",
    };

    private static string Text(LayerOverride entry) => entry.KeepFloat
        ? $"format={OverrideText.KeepFloat}"
        : FormattableString.Invariant($"format={Word(entry)},group-size={entry.GroupSize},rank={entry.Rank}");

    private static string Word(LayerOverride entry) => entry.Format == NumberFormat.E4M3 ? "fp8" : "fp4";

    private static string Group(LayerOverride entry) => entry.GroupSize switch
    {
        QuantizationOptions.WholeRow => " a row",
        QuantizationOptions.WholeTensor => " a layer",
        var size => FormattableString.Invariant($" g{size}"),
    };
}
