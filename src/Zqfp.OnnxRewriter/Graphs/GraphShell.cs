using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>What of a graph is neither node nor initializer: name, inputs, outputs, value types, properties, unknown fields.</summary>
internal static class GraphShell
{
    /// <summary>A copy of <paramref name="graph"/> without nodes and initializers. Weights kept inline are not copied on the way.</summary>
    /// <remarks>Unknown fields can only be copied by cloning, so the two lists are taken out meanwhile.</remarks>
    public static GraphProto Of(GraphProto graph)
    {
        NodeProto[] nodes = [.. graph.Node];
        TensorProto[] initializers = [.. graph.Initializer];
        graph.Node.Clear();
        graph.Initializer.Clear();
        try
        {
            return graph.Clone();
        }
        finally
        {
            graph.Node.AddRange(nodes);
            graph.Initializer.AddRange(initializers);
        }
    }
}
