using System.Numerics;
using System.Runtime.InteropServices;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The rotation of a layer's input in standard operators: Reshape to blocks, MatMul with the Hadamard matrix, Reshape back.
/// </summary>
/// <remarks>The product adds in another order than the operators' butterflies, so the two agree to float rounding.</remarks>
internal static class StandardRotation
{
    /// <summary>The nodes that rotate a float32 value; they need operator set 14.</summary>
    /// <param name="value">The value, [.., K].</param>
    /// <param name="rotated">The name of the result, from which the nodes' names derive.</param>
    /// <param name="block">A power of two from 2 to 256 that divides K.</param>
    public static IEnumerable<NodeProto> Nodes(string value, string rotated, int block)
    {
        (string shape, string blocks, string products) = ($"{rotated}.shape", $"{rotated}.blocks", $"{rotated}.products");
        yield return Node("Shape", [value], shape);
        yield return Node("Reshape", [value, BlockShape(block)], blocks);
        yield return Node("MatMul", [blocks, Matrix(block)], products);
        yield return Node("Reshape", [products, shape], rotated, Attributes.Make("allowzero", 1));
    }

    /// <summary>The constants those nodes read; none where <paramref name="block"/> is 0.</summary>
    public static IEnumerable<(string Name, TensorData Data)> Initializers(int block) => block == 0 ? [] :
    [
        (BlockShape(block), Constant<long>(DataType.Int64, [2], [-1, block])),
        (Matrix(block), Constant<float>(DataType.Float, [block, block], Hadamard(block, BlockHadamard.Normalization(block)))),
    ];

    /// <summary>The Sylvester matrix of an order that is a power of two, times a factor, row after row.</summary>
    public static float[] Hadamard(int order, float factor)
    {
        float[] matrix = new float[order * order];
        for (int i = 0; i < matrix.Length; i++)
        {
            matrix[i] = int.IsEvenInteger(BitOperations.PopCount((uint)(i / order & (i % order)))) ? factor : -factor;
        }

        return matrix;
    }

    private static TensorData Constant<T>(DataType type, long[] dims, ReadOnlySpan<T> values)
        where T : unmanaged => new(type, dims, MemoryMarshal.AsBytes(values).ToArray());

    private static string BlockShape(int block) => $"zqfp.rotation_{block}.shape";

    private static string Matrix(int block) => $"zqfp.rotation_{block}.matrix";

    private static NodeProto Node(string op, string[] inputs, string output, params AttributeProto[] attributes) =>
        new() { Name = $"{output}.{op}", OpType = op, Input = { inputs }, Output = { output }, Attribute = { attributes } };
}
