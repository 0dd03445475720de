using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.FunctionBodies;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The products for experts in terms of standard operators: weights are decoded as those of <see cref="FunctionBodies"/>, and Gather picks
/// each row's. That is how exporters write experts, and takes as much memory.
/// </summary>
internal static class ExpertBodies
{
    /// <summary>Dimensions of the weights: expert, output, input.</summary>
    private const int MatrixDims = 3;

    /// <summary>Every such operator's body.</summary>
    public static IReadOnlyList<FunctionProto> All() =>
    [
        Quantized(OperatorNames.MatMulW4A8, ["Xq", "Sx"], isFourBit: true, hasExponents: true),
        Quantized(OperatorNames.MatMulW4A8Scaled, ["Xq", "Sx"], isFourBit: true, hasExponents: false),
        Quantized(OperatorNames.MatMulW4A16, ["X"], isFourBit: true, hasExponents: true),
        Quantized(OperatorNames.MatMulW8A8, ["Xq", "Sx"], isFourBit: false, hasExponents: true),
    ];

    /// <summary>
    /// Nodes that multiply each row with the matrix of its expert: [R, m, N, 1], where every row of X serves m elements of the index.
    /// </summary>
    /// <param name="rows">X [R, 1, K, 1].</param>
    /// <param name="experts">The index as [R, m].</param>
    /// <param name="matrices">[E, N, K] in float32.</param>
    /// <param name="output">Name of the result.</param>
    public static IEnumerable<NodeProto> Multiply(string rows, string experts, string matrices, string output) =>
    [
        Node("Gather", [matrices, experts], $"{output}_matrices"),
        Node("MatMul", [$"{output}_matrices", rows], output),
    ];

    private static FunctionProto Quantized(string name, string[] activation, bool isFourBit, bool hasExponents)
    {
        string[] weight = hasExponents ? ["W", "E", "S"] : ["W", "S"];
        FunctionProto body = Function(
            OperatorNames.ExpertPrefix + name, [.. activation, "Index", .. weight, "bias", "A", "B"], ["Y"]);
        body.Attribute.AddRange(["group_size", "dtype"]);
        body.Node.Add(Cast(activation[0], "values", DataType.Float));
        if (activation.Length > 1)
        {
            body.Node.Add(Node("Mul", ["values", "Sx"], "x"));
        }

        string x = activation.Length > 1 ? "x" : "values";
        body.Node.AddRange([.. Decode(isFourBit), .. GroupScales(hasExponents, MatrixDims), .. Spread(MatrixDims)]);
        body.Node.AddRange(
        [
            Node("Mul", ["decoded", "spread"], "w"),

            // Every row of X as a column, and the experts of each row.
            Constant("all", DataType.Int64, [1], [-1L]),
            Constant("single", DataType.Int64, [1], [1L]),
            Node("Concat", ["all", "single", "columns", "single"], "rows_shape", Attributes.Make("axis", 0)),
            Node("Reshape", [x, "rows_shape"], "rows"),
            Node("Shape", ["rows"], "count", Attributes.Make("end", 1)),
            Node("Reshape", ["Index", "all"], "all_experts"),
            Node("Shape", ["all_experts"], "all_count"),
            Node("Max", ["count", "single"], "some_rows"),
            Node("Div", ["all_count", "some_rows"], "quotient"),
            Node("Max", ["quotient", "single"], "per_row"),
            Node("Concat", ["all", "per_row"], "index_shape", Attributes.Make("axis", 0)),
            Node("Reshape", ["all_experts", "index_shape"], "experts"),
            .. Multiply("rows", "experts", "w", "product"),
            Cast("A", "a", DataType.Float),
            Cast("B", "b", DataType.Float),
            .. Multiply("rows", "experts", "a", "inner"),
            Node("Gather", ["b", "experts"], "up"),
            Node("MatMul", ["up", "inner"], "correction"),
            Node("Add", ["product", "correction"], "corrected"),
            Cast("bias", "biases", DataType.Float),
            Node("Gather", ["biases", "experts"], "bias_rows"),
            Node("Unsqueeze", ["bias_rows", "all"], "added"),
            Node("Add", ["corrected", "added"], "y"),
            Node("Shape", ["Index"], "leading"),
            Node("Shape", ["decoded"], "outputs", Attributes.Make("start", 1), Attributes.Make("end", 2)),
            Node("Concat", ["leading", "outputs"], "shape", Attributes.Make("axis", 0)),
            Node("Reshape", ["y", "shape"], "y_rows"),
            CastToAttribute("y_rows", "Y", "dtype"),
        ]);
        return body;
    }
}
