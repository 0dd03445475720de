using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Replaces DequantizeLinear of FP4 codes, or with power-of-two scales of 8 bits (E8M0), by the numbers that it makes: ONNX Runtime's CPU
/// library has no kernels for these types. So does it with the weights of QMoE, whose codes need a newer operator set than the model has;
/// and with Cast of such constants.
/// </summary>
internal static class LowFloatWeights
{
    /// <summary>Whether <paramref name="graph"/> has constants of such a type.</summary>
    public static bool AreIn(GraphProto graph) =>
        graph.Initializer.Any(tensor => IsLow((DataType)tensor.DataType))
        && graph.Node.Any(node => node.OpType is "DequantizeLinear" or "Cast");

    /// <summary>Takes such nodes out of <paramref name="slice"/> and returns their outputs as numbers in float32.</summary>
    /// <param name="slice">A part of the graph; its nodes are not changed.</param>
    /// <param name="graph">The graph, which has the constants.</param>
    /// <param name="file">The file, which has their bytes.</param>
    public static IReadOnlyList<(string Name, TensorData Data)> Take(GraphProto slice, GraphIndex graph, OnnxFile file)
    {
        List<(string, TensorData)> taken = [];
        List<NodeProto> kept = [];
        HashSet<string> needed = [.. slice.Output.Select(output => output.Name)];
        foreach (NodeProto node in slice.Node.Reverse().Where(node => node.Output.Any(needed.Contains)))
        {
            if (IsTaken(graph, node) && ConstantWeight.TraceAny(graph, node.Output[0]) is { Transposed: false, IsRead: true } weight)
            {
                taken.Add((node.Output[0], Numbers(file, weight)));
            }
            else
            {
                kept.Add(node);
                needed.UnionWith(GraphIndex.ReadBy(node));
            }
        }

        if (taken.Count > 0)
        {
            slice.Node.Clear();
            slice.Node.AddRange(kept.AsEnumerable().Reverse());
        }

        return taken;
    }

    /// <summary>The numbers, of which those asked for are computed: they may be more than an array holds.</summary>
    private static TensorData Numbers(OnnxFile file, ConstantWeight weight)
    {
        long count = weight.Dims.Aggregate(1L, (product, dim) => product * dim);
        if (count * sizeof(float) <= Array.MaxLength)
        {
            return new TensorData(
                DataType.Float, weight.Dims, MemoryMarshal.AsBytes<float>(WeightReader.ReadAll(file, weight)).ToArray());
        }

        var numbers = new WeightNumbers(file, weight);
        return new TensorData(DataType.Float, weight.Dims, count * sizeof(float), (offset, bytes) =>
        {
            float[] some = new float[bytes / sizeof(float)];
            numbers.Read(offset / sizeof(float), some);
            return MemoryMarshal.AsBytes<float>(some).ToArray();
        });
    }

    private static bool IsTaken(GraphIndex graph, NodeProto node) => node.Domain.Length == 0 && node.OpType switch
    {
        "DequantizeLinear" => node.Input[0].Contains(LinearFormBuilder.Marker, StringComparison.Ordinal)
            || Stored(graph, node.Input[0]).Concat(Stored(graph, node.Input[1])).Any(IsLow),
        "Cast" => graph.Constant(node.Input[0]) is { } constant && IsLow((DataType)constant.DataType),
        _ => false,
    };

    private static bool IsLow(DataType type) => type is DataType.Float4E2M1 or DataType.Float8E8M0;

    /// <summary>The types of the constants that a value is made of.</summary>
    private static IEnumerable<DataType> Stored(GraphIndex graph, string value) =>
        ConstantWeight.TraceAny(graph, value) is { } weight
            ? weight.Constants.Append(weight.Dequantization?.ScaleName).OfType<string>().Select(graph.Constant).OfType<TensorProto>()
                .Select(tensor => (DataType)tensor.DataType)
            : [];
}
