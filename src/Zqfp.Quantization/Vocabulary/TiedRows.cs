using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization;

/// <summary>Tells whether a head and an embedding have the same rows: one constant, or two with the same numbers.</summary>
internal static class TiedRows
{
    /// <summary>
    /// Whether they are. Exporters that fold a transposition write a tied weight twice, in two orders, so numbers are compared where
    /// places differ.
    /// </summary>
    public static bool AreSame(OnnxFile file, GraphIndex graph, LinearLayer head, EmbeddingTable table)
    {
        if (head.OutFeatures != table.Rows || head.InFeatures != table.Columns)
        {
            return false;
        }

        bool isOnePlace = Identity(graph, head.Source) == Identity(graph, table.Weight) && head.StoredInputMajor == table.Weight.Transposed;
        return isOnePlace || HaveSameNumbers(MatrixRows.Of(file, head), MatrixRows.Of(file, table));
    }

    private static string Identity(GraphIndex graph, ConstantWeight weight) => weight.Identity(graph.SameData(weight.Name).First());

    private static bool HaveSameNumbers(MatrixRows one, MatrixRows other) =>
        one.Strips(CancellationToken.None).Zip(other.Strips(CancellationToken.None))
            .All(pair => pair.First.Rows.Span.SequenceEqual(pair.Second.Rows.Span));
}
