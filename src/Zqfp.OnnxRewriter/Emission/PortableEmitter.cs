using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The profile <c>portable</c>: the nodes of <c>custom</c>, with 4-bit codes declared as UINT4 and a function body for each
/// operator. A session that has the operators runs their kernels; any other inlines the bodies.
/// </summary>
/// <remarks>
/// A function body cannot leave out what a node leaves out, so every node gets a bias and low-rank factors: zeros where the
/// layer has none.
/// </remarks>
internal sealed class PortableEmitter() : CustomEmitter(DataType.Uint4)
{
    /// <summary>Cast from UINT4 belongs to operator set 21, which belongs to IR version 10.</summary>
    public override (long Ir, long Opset) Needs => (10, FunctionBodies.Opset);

    public override IEnumerable<FunctionProto> Functions(bool rotated, bool hasExperts) =>
        [.. FunctionBodies.All(rotated), .. hasExperts ? ExpertBodies.All() : []];

    public override IEnumerable<FunctionProto> FusedFunctions(bool rotated) => FusedBodies.All(rotated);

    public override IEnumerable<(string Name, TensorData Data)> SharedInitializers =>
        [.. base.SharedInitializers, .. FusedBodies.Constants];

    public override IEnumerable<(string Name, TensorData Data)> Initializers(QuantizedLayerTensors layer)
    {
        (long rows, long columns, _) = Shape(layer);
        IEnumerable<(string Name, TensorData Data)> all = base.Initializers(layer);
        if (OperatorBias(layer.Layer) is null)
        {
            all = all.Append((Part(layer.Layer, "bias"), new TensorData(DataType.Float, [rows], new byte[4 * rows])));
        }

        return layer.Rank > 0 ? all :
        [
            .. all,
            (Down(layer.Layer), new TensorData(DataType.Float16, [1, columns], new byte[2 * columns])),
            (Part(layer.Layer, "up"), new TensorData(DataType.Float16, [rows, 1], new byte[2 * rows])),
        ];
    }

    public override IEnumerable<(string Name, TensorData Data)> Initializers(ExpertTensors experts)
    {
        QuantizedLayerTensors all = experts.All;
        (long rows, long columns, _) = Shape(all);
        long count = experts.Experts.Count;
        foreach ((string Name, TensorData Data) constant in base.Initializers(experts))
        {
            yield return constant;
        }

        if (OperatorBias(all.Layer) is null)
        {
            yield return (Part(all.Layer, "bias"), new TensorData(DataType.Float, [count, rows], new byte[4 * count * rows]));
        }

        if (all.Rank == 0)
        {
            yield return (Down(all.Layer), new TensorData(DataType.Float16, [count, 1, columns], new byte[2 * count * columns]));
            yield return (Part(all.Layer, "up"), new TensorData(DataType.Float16, [count, rows, 1], new byte[2 * count * rows]));
        }
    }

    protected override IEnumerable<string> Optional(QuantizedLayerTensors layer) =>
        [OperatorBias(layer.Layer) ?? Part(layer.Layer, "bias"), Down(layer.Layer), Part(layer.Layer, "up")];
}
