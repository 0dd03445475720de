using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Brings the spellings that ONNX allows for one thing to one of them, when a model is opened: the default domain is the empty name,
/// functions are inlined, loops over layers are written out, sparse initializers are dense, and constants of more than one number are
/// initializers. Token ids have a shape.
/// </summary>
internal static class PlainModel
{
    private const string SpelledDefault = "ai.onnx";

    /// <summary>Changes <paramref name="model"/>, which has a graph.</summary>
    public static void Make(ModelProto model)
    {
        NameDefaultDomain(model);
        FunctionInliner.Inline(model);
        LoopUnroller.Unroll(model.Graph);
        foreach (SparseTensorProto sparse in model.Graph.SparseInitializer.ToArray())
        {
            if (SparseTensor.ToDense(sparse, sparse.Values?.Name ?? string.Empty) is { } dense)
            {
                model.Graph.SparseInitializer.Remove(sparse);
                model.Graph.Initializer.Add(dense);
            }
        }

        LiftConstants(model.Graph);
        DeclareIds(model.Graph);
        foreach (TensorShapeProto.Types.Dimension dim in model.Graph.Input.Concat(model.Graph.Output)
            .Concat(model.Graph.ValueInfo)
            .SelectMany(value => value.Type?.TensorType?.Shape?.Dim ?? []))
        {
            if (dim.HasDimValue && dim.DimValue < 0)
            {
                dim.ClearValue();
            }
        }
    }

    /// <summary>
    /// Token ids of no declared shape are [batch, sequence], as which they are fed: without it no value has a known rank.
    /// </summary>
    private static void DeclareIds(GraphProto graph)
    {
        if (graph.Input.FirstOrDefault(input => input.Name == TokenIds.Name)?.Type?.TensorType is { Shape: null } ids)
        {
            ids.Shape = new TensorShapeProto
            {
                Dim = { new TensorShapeProto.Types.Dimension(), new TensorShapeProto.Types.Dimension() },
            };
        }
    }

    /// <summary>
    /// Constant nodes that hold float tensors become initializers of the same name: weights, biases and tables stand in one place.
    /// </summary>
    internal static void LiftConstants(GraphProto graph)
    {
        List<NodeProto> others = [];
        foreach (NodeProto node in graph.Node)
        {
            if (ConstantNode.Value(node) is { Dims.Count: > 0 } value
                && (TensorTypes.IsFloat((DataType)value.DataType) || value.Dims.Count > 1))
            {
                TensorProto tensor = value.Clone();
                tensor.Name = node.Output[0];
                graph.Initializer.Add(tensor);
            }
            else
            {
                others.Add(node);
            }
        }

        if (others.Count < graph.Node.Count)
        {
            graph.Node.Clear();
            graph.Node.AddRange(others);
        }
    }

    private static void NameDefaultDomain(ModelProto model)
    {
        foreach (OperatorSetIdProto import in model.OpsetImport.Concat(model.Functions.SelectMany(function => function.OpsetImport))
            .Where(import => import.Domain == SpelledDefault))
        {
            import.Domain = string.Empty;
        }

        NameDefaultDomain(model.Graph.Node.Concat(model.Functions.SelectMany(function => function.Node)));
    }

    private static void NameDefaultDomain(IEnumerable<NodeProto> nodes)
    {
        foreach (NodeProto node in nodes)
        {
            if (node.Domain == SpelledDefault)
            {
                node.Domain = string.Empty;
            }

            foreach (GraphProto graph in Subgraphs.Of(node))
            {
                NameDefaultDomain(graph.Node);
            }
        }
    }
}
