using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// A value that depends on constants alone: one of them, or what nodes make of them, such as a part of a fused weight or a scaled one.
/// Shape and type are known from the structure; numbers are computed when they are asked for.
/// </summary>
/// <param name="Dims">The shape.</param>
/// <param name="Type">The element type.</param>
internal abstract record ConstantValue(IReadOnlyList<long> Dims, DataType Type)
{
    /// <summary>Nodes that one weight is computed by, at most: a bound on the walk from values that are none.</summary>
    private const int MostNodes = 64;

    /// <summary>The number of elements.</summary>
    public long Count => Dims.Aggregate(1L, (product, dim) => product * dim);

    /// <summary>The constants that it is computed from.</summary>
    public abstract IEnumerable<string> Leaves { get; }

    /// <summary>The products among the nodes that compute it.</summary>
    public abstract IEnumerable<NodeProto> Products { get; }

    /// <summary>Whether a part of the numbers is read without the others; others of 2^31 elements or more are not read at all.</summary>
    public virtual bool IsReadInParts => false;

    /// <summary>All numbers in float32, row-major.</summary>
    /// <exception cref="ZqfpException">As <see cref="OnnxFile.Read"/>.</exception>
    public float[] Numbers(OnnxFile file) => Numbers(file, 0, checked((int)Count));

    /// <summary>Some of the numbers in float32.</summary>
    /// <param name="file">The model.</param>
    /// <param name="first">The first, in row-major order.</param>
    /// <param name="count">How many.</param>
    /// <exception cref="ZqfpException">As <see cref="OnnxFile.Read"/>.</exception>
    public abstract float[] Numbers(OnnxFile file, long first, int count);

    /// <summary>
    /// What <paramref name="value"/> is, or null where it depends on what the model reads, on operators that are not known here, or on
    /// numbers that a quantized model stores.
    /// </summary>
    public static ConstantValue? Of(GraphIndex graph, string value)
    {
        int nodes = MostNodes;
        return Of(graph, value, ref nodes);
    }

    private static ConstantValue? Of(GraphIndex graph, string value, ref int nodes)
    {
        if (graph.Constant(value) is { } tensor)
        {
            var type = (DataType)tensor.DataType;
            bool isRead = !QuantizedNames.IsPart(value) && type != DataType.Double
                && (TensorTypes.IsFloat(type) || TensorTypes.IsCode(type));
            return isRead && tensor.Dims.All(IsLength) ? new StoredConstant(value, tensor) : null;
        }

        if (graph.Producer(value) is not { Domain.Length: 0 } node || nodes-- <= 0)
        {
            return null;
        }

        int output = node.Output.IndexOf(value);
        ConstantValue? made = ConstantView.IsKnown(node) && Of(graph, node.Input[0], ref nodes) is { } input
            ? ConstantView.Of(graph, node, output, input)
            : ConstantArithmetic.IsKnown(node) && All(graph, node, ref nodes) is { } inputs && inputs.All(IsWithin)
                ? ConstantArithmetic.Of(node, inputs)
                : null;
        return made is not null && Fits(made) ? made : null;
    }

    private static ConstantValue[]? All(GraphIndex graph, NodeProto node, ref int nodes)
    {
        List<ConstantValue> inputs = [];
        foreach (string name in node.Input)
        {
            if (Of(graph, name, ref nodes) is not { } input)
            {
                return null;
            }

            inputs.Add(input);
        }

        return [.. inputs];
    }

    private static bool Fits(ConstantValue value) => value.Dims.All(IsLength) && IsWithin(value);

    private static bool IsLength(long dim) => dim is > 0 and <= int.MaxValue;

    private static bool IsWithin(ConstantValue value) =>
        value.Dims.Aggregate(Int128.One, (product, dim) => product * dim) <= (value.IsReadInParts ? long.MaxValue : Array.MaxLength);

    /// <summary>A constant as it is stored.</summary>
    private sealed record StoredConstant(string Name, TensorProto Tensor) : ConstantValue([.. Tensor.Dims], (DataType)Tensor.DataType)
    {
        public override IEnumerable<string> Leaves => [Name];

        public override IEnumerable<NodeProto> Products => [];

        public override bool IsReadInParts => true;

        public override float[] Numbers(OnnxFile file, long first, int count)
        {
            float[] numbers = new float[count];
            file.Read(Tensor).ReadFloats(first, numbers);
            return numbers;
        }
    }
}
