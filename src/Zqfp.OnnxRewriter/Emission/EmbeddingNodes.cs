using System.Runtime.InteropServices;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// An FP8 embedding in standard operators, the same in every profile: the rows' codes and scales are gathered, then each code's value is
/// looked up and multiplied. Only what is looked up becomes float; the table stays 8-bit in memory.
/// </summary>
/// <remarks>
/// Gather takes no FP8, so the codes are declared as UINT8 and their values come from a table of 256. Nothing here depends on an operator
/// set.
/// </remarks>
/// <param name="marker">What marks the names of generated values, such as <c>.zqfp.</c>.</param>
internal sealed class EmbeddingNodes(string marker)
{
    private string Values => $"{marker.Trim('.')}.e4m3_table";

    /// <summary>Nodes that replace the lookup.</summary>
    public IEnumerable<NodeProto> Of(EmbeddingTable table)
    {
        string Name(string part) => $"{table.Output}{marker}{part}";
        bool isLast = table.Type == DataType.Float;
        string product = isLast ? table.Output : Name("product");
        yield return Node("Gather", [Name("table_codes"), table.Ids], Name("row_codes"));
        yield return Cast(Name("row_codes"), Name("indices"), DataType.Int32);
        yield return Node("Gather", [Values, Name("indices")], Name("values"));
        yield return Node("Gather", [Name("table_scales"), table.Ids], Name("row_scales"));
        yield return Node("Mul", [Name("values"), Name("row_scales")], product);
        if (!isLast)
        {
            yield return Cast(product, table.Output, table.Type);
        }
    }

    /// <summary>The constants those nodes read.</summary>
    public IEnumerable<(string Name, TensorData Data)> Initializers(QuantizedEmbedding embedding)
    {
        EmbeddingTable table = embedding.Table;
        yield return ($"{table.Output}{marker}table_codes", new TensorData(DataType.Uint8, [table.Rows, table.Columns], embedding.Codes));
        yield return ($"{table.Output}{marker}table_scales",
            new TensorData(DataType.Float, [table.Rows, 1], MemoryMarshal.AsBytes(embedding.Scales.Span).ToArray()));
        yield return (Values, new TensorData(
            DataType.Float, [NumberFormat.E4M3.CodeCount], MemoryMarshal.AsBytes(NumberFormat.E4M3.Values).ToArray()));
    }

    private static NodeProto Node(string op, string[] inputs, string output, params AttributeProto[] attributes) =>
        new() { Name = $"{output}.{op}", OpType = op, Input = { inputs }, Output = { output }, Attribute = { attributes } };

    private static NodeProto Cast(string input, string output, DataType type) =>
        Node("Cast", [input], output, Attributes.Make("to", (long)type));
}
