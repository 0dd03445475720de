using System.Globalization;
using Zqfp.Evaluation;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Says what is missing before a model is written from the layers of shards.</summary>
internal static class ShardMerge
{
    private const int Named = 3;

    /// <summary>Refuses to merge where layers are missing.</summary>
    /// <param name="options">The options; with a number of shards, those that are to run again are named.</param>
    /// <param name="model">The model's layers.</param>
    /// <param name="stages">Their stages.</param>
    /// <param name="windows">The calibration windows.</param>
    /// <param name="layers">The layers with what is there of them.</param>
    /// <exception cref="ZqfpException">ZQFP0041: some are missing.</exception>
    public static void Require(
        QuantizeOptions options, ModelLayers model, IReadOnlyList<CalibrationStage> stages, TokenWindowSet windows,
        IReadOnlyCollection<LayerWork> layers)
    {
        LinearLayer[] missing = [.. layers.Where(layer => !layer.IsKept).Select(layer => layer.Layer)];
        if (missing.Length == 0)
        {
            return;
        }

        string names = string.Join(", ", missing.Take(Named).Select(layer => $"'{layer.DisplayName}'"));
        string more = missing.Length > Named
            ? string.Create(CultureInfo.InvariantCulture, $" and {missing.Length - Named} more")
            : "";
        bool isTogether = options.CalibrateOn == CalibrationSource.Quantized && windows.Windows.Count > 0;
        string shards = isTogether ? "Run all shards again"
            : options.Shards is { } count
            ? $"Run {Shards(ShardPlan.Of(model.Graph, stages, (long)windows.Windows.Count * options.Window, count), missing)} again"
            : "Run their shards again; with --shards N this says which";
        throw new ZqfpException("ZQFP0041", string.Create(CultureInfo.InvariantCulture,
            $"{missing.Length} of {layers.Count(layer => layer.IsOwner)} layers are not in the work folder: {names}{more}. {shards}, with "
            + $"the same options, model, text and build of this tool."), options.WorkFolder);
    }

    private static string Shards(IReadOnlyList<ShardPart> parts, LinearLayer[] missing)
    {
        string[] names =
        [
            .. parts.Select((part, i) => (part, Name: new Shard(i, parts.Count).ToString()))
                .Where(entry => missing.Any(entry.part.Has))
                .Select(entry => entry.Name)
        ];
        return (names.Length == 1 ? "shard " : "shards ") + string.Join(", ", names);
    }
}
