using Google.Protobuf.Collections;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.Quantization;

/// <summary>
/// Says of a model that is quantized already that it is: to quantize it once more would start from rounded weights, or find none.
/// </summary>
internal static class AlreadyQuantized
{
    private static readonly HashSet<string> IntegerProducts = new(StringComparer.Ordinal)
    {
        "DynamicQuantizeMatMul", "MatMulBnb4", "MatMulInteger", "MatMulIntegerToFloat", "MatMulNBits", "QGemm", "QLinearMatMul",
    };

    /// <summary>Refuses what this project wrote.</summary>
    /// <exception cref="ZqfpException">ZQFP0014.</exception>
    public static void Refuse(OnnxFile file)
    {
        RepeatedField<StringStringEntryProto> properties = file.Envelope.MetadataProps;
        if (properties.Any(property => property.Key == ModelProperties.VersionKey))
        {
            string recipe = properties.FirstOrDefault(property => property.Key == ModelProperties.RecipeKey)?.Value ?? "by this tool";
            throw Error(file, $"The model is quantized already: {recipe}.");
        }
    }

    /// <summary>For a model without a layer to quantize: refuses one whose products are quantized.</summary>
    /// <exception cref="ZqfpException">ZQFP0014.</exception>
    public static void RefuseProducts(OnnxFile file)
    {
        string[] kinds = [.. file.Graph.Node
            .Where(node => IntegerProducts.Contains(node.OpType))
            .CountBy(node => node.OpType)
            .OrderByDescending(kind => kind.Value)
            .Select(kind => $"{kind.Value} {kind.Key}")];
        if (kinds.Length > 0)
        {
            throw Error(file, $"The model is quantized already: its products are {string.Join(", ", kinds)}.");
        }
    }

    private static ZqfpException Error(OnnxFile file, string what) => new(
        "ZQFP0014", $"{what} Give the float model that it was made from.", file.Path);
}
