using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>The graphs in a node's attributes: the bodies of If, Loop and Scan.</summary>
internal static class Subgraphs
{
    public static IEnumerable<GraphProto> Of(NodeProto node) => node.Attribute.SelectMany(Of);

    public static IEnumerable<GraphProto> Of(AttributeProto attribute) =>
        attribute.G is null ? attribute.Graphs : attribute.Graphs.Append(attribute.G);
}
