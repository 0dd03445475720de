using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Replaces DequantizeLinear of FP4 codes, or with power-of-two scales of 8 bits (E8M0), by the numbers that it makes: ONNX Runtime's CPU
/// library has no kernels for these types.
/// </summary>
internal static class LowFloatWeights
{
    /// <summary>Whether <paramref name="graph"/> has constants of such a type.</summary>
    public static bool AreIn(GraphProto graph) =>
        graph.Initializer.Any(tensor => tensor.DataType is (int)DataType.Float4E2M1 or (int)DataType.Float8E8M0)
        && graph.Node.Any(node => node.OpType == "DequantizeLinear");

    /// <summary>Takes such nodes out of <paramref name="slice"/> and returns their outputs as numbers in float32.</summary>
    /// <param name="slice">A part of the graph; its nodes are not changed.</param>
    /// <param name="graph">The graph, which has the constants.</param>
    /// <param name="file">The file, which has their bytes.</param>
    public static IReadOnlyList<(string Name, TensorData Data)> Take(GraphProto slice, GraphIndex graph, OnnxFile file)
    {
        List<(string, TensorData)> taken = [];
        foreach (NodeProto node in slice.Node.Where(node => node is { OpType: "DequantizeLinear", Domain.Length: 0 } && IsLow(graph, node))
            .ToList())
        {
            string output = node.Output[0];
            ConstantWeight? weight = ConstantWeight.TraceShape(graph, output) ?? ConstantWeight.TraceShape(graph, output, dimensions: 3);
            if (weight is not { Dequantization: not null, Transposed: false })
            {
                continue;
            }

            slice.Node.Remove(node);
            byte[] bytes = MemoryMarshal.AsBytes<float>(WeightReader.ReadAll(file, weight)).ToArray();
            taken.Add((output, new TensorData(DataType.Float, weight.Dims, bytes)));
        }

        return taken;
    }

    private static bool IsLow(GraphIndex graph, NodeProto node) =>
        node.Input.Take(2).Any(input => Stored(graph, input) is DataType.Float4E2M1 or DataType.Float8E8M0);

    private static DataType? Stored(GraphIndex graph, string value)
    {
        while (graph.Constant(value) is null)
        {
            if (graph.Producer(value) is not { OpType: "Cast" or "Identity" } node)
            {
                return null;
            }

            value = node.Input[0];
        }

        return (DataType)graph.Constant(value)!.DataType;
    }
}
