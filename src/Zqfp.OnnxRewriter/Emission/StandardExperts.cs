using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// A product for experts in standard operators, for profiles and products that have no operator of their own: Gather picks each row's
/// matrix, as exporters write it.
/// </summary>
/// <param name="output">The value made; the names of others derive from it.</param>
/// <param name="marker">What stands between a value's name and that of a part of it.</param>
internal sealed class StandardExperts(string output, string marker)
{
    private readonly List<NodeProto> _nodes = [];

    /// <summary>The nodes so far, in running order.</summary>
    public IReadOnlyList<NodeProto> Nodes => _nodes;

    /// <summary>Constants that the nodes read: the same for all products.</summary>
    public static IEnumerable<(string Name, TensorData Data)> Constants(string marker) =>
    [
        (Name(marker, "first"), TensorData.Integers(0)),
        (Name(marker, "second"), TensorData.Integers(1)),
        (Name(marker, "last"), TensorData.Integers(-1)),
        (Name(marker, "one"), TensorData.Integers(1)),
        (Name(marker, "large"), TensorData.Integers(long.MaxValue)),
    ];

    /// <summary>
    /// Rows as [R, 1, K, 1] and their experts as [R, m], for <see cref="Multiply"/>.
    /// </summary>
    /// <param name="x">X [.., K].</param>
    /// <param name="index">The expert of each row of the output.</param>
    /// <param name="columns">Name of a constant [K].</param>
    public (string Rows, string Experts) Read(string x, string index, string columns)
    {
        string shape = Add("Concat", "rows_shape", [Constant("last"), Constant("one"), columns, Constant("one")],
            Attributes.Make("axis", 0));
        string rows = Add("Reshape", "rows", [x, shape]);
        string count = Add("Slice", "count", [Add("Shape", "rows_dims", [rows]), Constant("first"), Constant("second")]);
        string all = Add("Reshape", "all_experts", [index, Constant("last")]);
        string perRow = PerRow(Add("Shape", "all_count", [all]), count, Constant("one"));
        string two = Add("Concat", "index_shape", [Constant("last"), perRow], Attributes.Make("axis", 0));
        return (rows, Add("Reshape", "experts", [all, two]));
    }

    /// <summary>How many elements of the index each row serves; 1 where there are no rows, as a router may leave a mixture.</summary>
    /// <param name="count">Elements of the index.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="one">Name of a constant [1] of 1.</param>
    public string PerRow(string count, string rows, string one) =>
        Add("Max", "per_row", [Add("Div", "quotient", [count, Add("Max", "some_rows", [rows, one])]), one]);

    /// <summary>[R, m, N, 1]: each row times the matrix [E, N, K] of its experts.</summary>
    public string Multiply(string part, string rows, string experts, string matrices) =>
        Add("MatMul", part, [Add("Gather", $"{part}_matrices", [matrices, experts]), rows]);

    /// <summary>Brings [R, m, N, 1] to the index's dimensions and N, as the output or a value of another name.</summary>
    /// <param name="value">The product.</param>
    /// <param name="index">The expert of each row.</param>
    /// <param name="outputs">Name of a constant [N].</param>
    /// <param name="part">Name of the value, or null for the output itself.</param>
    public string Shape(string value, string index, string outputs, string? part = null)
    {
        string shape = Add("Concat", "shape", [Add("Shape", "leading", [index]), outputs], Attributes.Make("axis", 0));
        return part is null ? Last("Reshape", [value, shape]) : Add("Reshape", part, [value, shape]);
    }

    /// <summary>Adds a node that makes a value of its own.</summary>
    public string Add(string op, string part, string[] inputs, params AttributeProto[] attributes) =>
        Append(op, $"{output}{marker}{part}", inputs, attributes);

    /// <summary>Adds a node made elsewhere.</summary>
    public void Append(NodeProto node) => _nodes.Add(node);

    /// <summary>Adds the node that makes the output.</summary>
    public string Last(string op, string[] inputs, params AttributeProto[] attributes) => Append(op, output, inputs, attributes);

    /// <summary>A float product for experts that stays as it is, in standard operators.</summary>
    /// <param name="node">An ExpertMatMul.</param>
    /// <param name="marker">As for the constructor.</param>
    public static IReadOnlyList<NodeProto> Spell(NodeProto node, string marker)
    {
        var nodes = new StandardExperts(node.Output[0], marker);
        (string x, string index, string matrices) = (node.Input[0], node.Input[1], node.Input[2]);
        if (Attributes.Int(node, OperatorNames.InputMajor, 0) != 0)
        {
            matrices = nodes.Add("Transpose", "turned", [matrices], Attributes.Make("perm", [0, 2, 1]));
        }

        string dims = nodes.Add("Shape", "matrices_dims", [matrices]);
        string rest = nodes.Add("Slice", "matrix_dims", [dims, nodes.Constant("second"), nodes.Constant("large")]);
        string outputs = nodes.Add("Slice", "outputs", [rest, nodes.Constant("first"), nodes.Constant("second")]);
        string columns = nodes.Add("Slice", "columns", [rest, nodes.Constant("second"), nodes.Constant("large")]);
        (string rows, string experts) = nodes.Read(x, index, columns);
        string product = nodes.Multiply("product", rows, experts, matrices);
        if (node.Input.ElementAtOrDefault(3) is { Length: > 0 } bias)
        {
            string added = nodes.Add("Unsqueeze", "bias", [nodes.Add("Gather", "bias_rows", [bias, experts]), nodes.Constant("last")]);
            product = nodes.Add("Add", "biased", [product, added]);
        }

        nodes.Shape(product, index, outputs);
        return nodes.Nodes;
    }

    /// <summary>The name of one of <see cref="Constants"/>.</summary>
    public string Constant(string part) => Name(marker, part);

    private static string Name(string marker, string part) => $"{marker.Trim('.')}.experts_{part}";

    private string Append(string op, string made, string[] inputs, AttributeProto[] attributes)
    {
        _nodes.Add(new NodeProto
        {
            Name = $"{made}.{op}",
            OpType = op,
            Input = { inputs },
            Output = { made },
            Attribute = { attributes },
        });
        return made;
    }
}
