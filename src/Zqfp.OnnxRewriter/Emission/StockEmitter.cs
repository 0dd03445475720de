using Zqfp.Numerics;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The profile <c>stock</c>: the weights as 8-bit <c>com.microsoft.MatMulNBits</c>, which any ONNX Runtime has and computes fast, and
/// the low-rank branch as two MatMuls.
/// </summary>
/// <remarks>
/// <para>
/// Twice an E2M1 value is an integer of at most 12, so the codes 128 + 2v under the block scales S 2^-k / 2 are the FP4 weights exactly.
/// </para>
/// <para>
/// What MatMulNBits cannot hold, FP8 weights and FP4 groups that are no multiple of 16, is a constant subgraph that looks the codes up
/// in a table of their values; ONNX Runtime folds it to a float weight when it loads the model.
/// </para>
/// <para>A rotation of the input is a MatMul of its blocks, as rows of their own, with the Hadamard matrix.</para>
/// <para>
/// Activations are not rounded to FP8: MatMulNBits rounds them as its accuracy level says. Layers of float16 and bfloat16 compute in
/// float32, because the operator's scales have the type of its input and those of float16 would be inexact.
/// </para>
/// </remarks>
/// <param name="accuracyLevel">
/// What MatMulNBits may round its input to: 1 float32, 2 float16, 3 bfloat16, 4 int8; 0 leaves the choice to the runtime.
/// </param>
internal sealed class StockEmitter(int accuracyLevel) : LayerEmitter
{
    private const string Fp4Values = "zqfp.e2m1_values";
    private const string Fp8Values = "zqfp.e4m3_values";
    private const string SpreadShape = "zqfp.spread_shape";
    private const string First = "zqfp.first";
    private const string ColumnAxis = "zqfp.column_axis";
    private const string Minus = "zqfp.minus_one";
    private const string Zero = "zqfp.zero_scalar";
    private const string One = "zqfp.one_scalar";
    private const string OneOrMore = "zqfp.one_or_more";

    /// <summary>What rotations need; operator set 14 belongs to IR version 7.</summary>
    public override (long Ir, long Opset) Needs => (7, 14);

    public override IEnumerable<(string Name, TensorData Data)> SharedInitializers =>
    [
        (Fp4Values, Values(NumberFormat.E2M1)),
        (Fp8Values, Values(NumberFormat.E4M3)),
        (SpreadShape, TensorData.Integers(0, -1)),
        (First, TensorData.Integers(0)),
        (ColumnAxis, TensorData.Integers(1)),
    ];

    public override string? Refusal(QuantizedLayerTensors layer) =>
        layer.CodesType == WeightCodes.Simulated ? $"The codes of layer '{layer.Layer.Name}' are not known." : null;

    public override IEnumerable<NodeProto> Prepare(QuantizedLayerTensors first)
    {
        string value = first.Layer.Input;
        string read = Float(first.Layer);
        if (read != value)
        {
            yield return Cast(value, read, DataType.Float);
        }

        if (first.Rotation > 0)
        {
            foreach (NodeProto node in StandardRotation.Nodes(read, Read(first), first.Rotation))
            {
                yield return node;
            }
        }
    }

    public override IEnumerable<NodeProto> Replace(QuantizedLayerTensors layer) => Product(layer, Read(layer));

    private IEnumerable<NodeProto> Product(QuantizedLayerTensors layer, string x)
    {
        LinearLayer linear = layer.Layer;
        bool isLast = layer.Rank == 0 && linear.Type == DataType.Float;
        StockLayout layout = StockLayout.Of(layer);
        string value = isLast ? linear.Output : Derived(linear.Output, "product");
        foreach (NodeProto node in layout.BlockSize > 0 ? Blocked(linear, layout, x, value) : LookedUp(layer, x, value))
        {
            yield return node;
        }

        if (layer.Rank > 0)
        {
            (string down, string up) = (Derived(linear.Output, "down_float"), Derived(linear.Output, "up_float"));
            (string inner, string correction) = (Derived(linear.Output, "inner"), Derived(linear.Output, "correction"));
            string corrected = linear.Type == DataType.Float ? linear.Output : Derived(linear.Output, "corrected");
            yield return Cast(Down(linear), down, DataType.Float);
            yield return Cast(Part(linear, "up"), up, DataType.Float);
            yield return Standard("MatMul", [x, down], inner);
            yield return Standard("MatMul", [inner, up], correction);
            yield return Standard("Add", [value, correction], corrected);
            value = corrected;
        }

        if (linear.Type != DataType.Float)
        {
            yield return Cast(value, linear.Output, linear.Type);
        }
    }

    public override IEnumerable<(string Name, TensorData Data)> Initializers(QuantizedLayerTensors layer)
    {
        LinearLayer linear = layer.Layer;
        StockLayout layout = StockLayout.Of(layer);
        if (layout.BlockSize > 0)
        {
            yield return (Part(linear, "codes"), StockWeights.Blocked(layer, layout));
            yield return (Part(linear, "scales"),
                new TensorData(DataType.Float, [(long)layout.Rows * layout.Blocks], Bytes<float>(BlockScales(layer, layout))));
        }
        else
        {
            (long rows, _, long groups) = Shape(layer);
            yield return (Part(linear, "codes"), StockWeights.Indices(layer, layout));
            yield return (Part(linear, "scales"),
                new TensorData(DataType.Float, [rows, groups, 1], Bytes<float>(GroupScales(layer, (int)groups))));
            yield return (Part(linear, "group"), TensorData.Integers(1, 1, layout.GroupSize));
            yield return (Part(linear, "columns"), TensorData.Integers(layout.Columns));
        }

        foreach ((string Name, TensorData Data) constant in StandardRotation.Initializers(layer.Rotation))
        {
            yield return constant;
        }

        if (layer.Rank > 0)
        {
            yield return (Down(linear), Turned(layer.Down.Span, layer.Rank, layout.Columns));
            yield return (Part(linear, "up"), Turned(layer.Up.Span, layout.Rows, layer.Rank));
        }
    }

    /// <summary>
    /// For each expert the rows that have it, their product as that of a layer of its own, and at the end all rows brought back to their
    /// places. ONNX Runtime's own operator for experts, QMoE, has router, products and activation in one, which graphs do not.
    /// </summary>
    public override IEnumerable<NodeProto> Replace(ExpertTensors experts)
    {
        LinearLayer all = experts.All.Layer;
        var nodes = new StandardExperts(all.Output, Marker);
        string x = nodes.Add("Reshape", "rows", [Read(experts.All), Part(all, "rows_shape")]);
        string index = nodes.Add("Reshape", "index", [experts.Index, Minus]);
        string rows = nodes.Add("Shape", "rows_dims", [x]);
        string count = nodes.Add("Shape", "index_dims", [index]);
        string perRow = nodes.PerRow(count, nodes.Add("Slice", "row_count", [rows, First, ColumnAxis]), OneOrMore);
        List<string> places = [];
        List<string> products = [];
        foreach (QuantizedLayerTensors expert in experts.Experts)
        {
            int number = expert.Layer.Expert!.Number;
            string Part(string part) => FormattableString.Invariant($"{part}_{number}");
            string hits = nodes.Add("Equal", Part("is"), [index, NumberOf(number)]);
            string place = nodes.Add("Reshape", Part("places"), [nodes.Add("NonZero", Part("hits"), [hits]), Minus]);
            string some = nodes.Add("Gather", Part("rows"), [x, nodes.Add("Div", Part("sources"), [place, perRow])]);
            places.Add(place);
            products.Add(Derived(all.Output, Part("y")));
            QuantizedLayerTensors single = expert with
            {
                Layer = expert.Layer with { Expert = null, Bias = null, Output = products[^1], Type = DataType.Float },
            };
            foreach (NodeProto node in Product(single, some))
            {
                nodes.Append(node);
            }
        }

        string sorted = nodes.Add("Concat", "sorted", [.. products], Attributes.Make("axis", 0));
        string order = nodes.Add("Concat", "order", [.. places], Attributes.Make("axis", 0));
        string inverse = nodes.Add("ScatterElements", "inverse",
            [order, order, nodes.Add("Range", "numbers", [Zero, nodes.Add("Squeeze", "count", [count]), One])]);
        string back = nodes.Add("Gather", "back", [sorted, inverse]);
        string shape = nodes.Add("Concat", "shape", [nodes.Add("Shape", "leading", [experts.Index]), Part(all, "outputs")],
            Attributes.Make("axis", 0));
        string value = nodes.Add("Reshape", "shaped", [back, shape]);
        if (all.Bias is { } bias)
        {
            string picked = nodes.Add("Gather", "bias_rows", [bias, experts.Index]);
            value = nodes.Add("Add", "biased",
                [value, nodes.Add("Cast", "bias_float", [picked], Attributes.Make("to", (long)DataType.Float))]);
        }

        nodes.Last("Cast", [value], Attributes.Make("to", (long)all.Type));
        return nodes.Nodes;
    }

    public override IEnumerable<(string Name, TensorData Data)> Initializers(ExpertTensors experts)
    {
        LinearLayer all = experts.All.Layer;
        yield return (Part(all, "rows_shape"), TensorData.Integers(-1, all.InFeatures));
        yield return (Part(all, "outputs"), TensorData.Integers(all.OutFeatures));
        yield return (Minus, TensorData.Integers(-1));
        yield return (Zero, Integer(0));
        yield return (One, Integer(1));
        yield return (OneOrMore, TensorData.Integers(1));
        foreach (QuantizedLayerTensors expert in experts.Experts)
        {
            int number = expert.Layer.Expert!.Number;
            yield return (NumberOf(number), TensorData.Integers(number));
            foreach ((string Name, TensorData Data) constant in Initializers(expert))
            {
                yield return constant;
            }
        }
    }

    private static string NumberOf(int expert) => FormattableString.Invariant($"zqfp.expert_{expert}");

    /// <summary>The product as one MatMulNBits, bias included.</summary>
    private IEnumerable<NodeProto> Blocked(LinearLayer linear, StockLayout layout, string x, string output)
    {
        List<string> inputs = [x, Part(linear, "codes"), Part(linear, "scales")];
        if (linear.Bias is { } bias)
        {
            if (linear.Type != DataType.Float)
            {
                yield return Cast(linear.Bias, bias = Derived(linear.Output, "bias"), DataType.Float);
            }

            inputs.AddRange(["", "", bias]);
        }

        yield return Node(
            OperatorNames.MicrosoftDomain,
            OperatorNames.MatMulNBits,
            linear.Name,
            inputs,
            [output],
            Attributes.Make("K", layout.Columns),
            Attributes.Make("N", layout.Rows),
            Attributes.Make("bits", 8),
            Attributes.Make("block_size", layout.BlockSize),
            Attributes.Make("accuracy_level", accuracyLevel));
    }

    /// <summary>The product with a float weight that constants are folded to, and its bias.</summary>
    private IEnumerable<NodeProto> LookedUp(QuantizedLayerTensors layer, string x, string output)
    {
        LinearLayer linear = layer.Layer;
        string Name(string part) => Derived(linear.Output, part);
        yield return Cast(Part(linear, "codes"), Name("indices"), DataType.Int32);
        yield return Standard("Gather", [layer.CodesType == WeightCodes.Fp8E4M3 ? Fp8Values : Fp4Values, Name("indices")], Name("values"));
        yield return Standard("Expand", [Part(linear, "scales"), Part(linear, "group")], Name("repeated"));
        yield return Standard("Reshape", [Name("repeated"), SpreadShape], Name("padded"));
        yield return Standard("Slice", [Name("padded"), First, Part(linear, "columns"), ColumnAxis], Name("spread"));
        yield return Standard("Mul", [Name("values"), Name("spread")], Name("weight"));
        yield return Standard("Transpose", [Name("weight")], Name("weight_t"));
        string product = linear.Bias is null ? output : Name("unbiased");
        yield return Standard("MatMul", [x, Name("weight_t")], product);
        if (linear.Bias is { } bias)
        {
            if (linear.Type != DataType.Float)
            {
                yield return Cast(linear.Bias, bias = Name("bias"), DataType.Float);
            }

            yield return Standard("Add", [product, bias], output);
        }
    }

    /// <summary>The layer's input in float32.</summary>
    private string Float(LinearLayer layer) => layer.Type == DataType.Float ? layer.Input : Derived(layer.Input, "float");

    /// <summary>The value that the products read for the layer's input.</summary>
    private string Read(QuantizedLayerTensors layer) => layer.Rotation > 0 ? Derived(layer.Layer.Input, "rotated") : Float(layer.Layer);

    /// <summary>Half of each block's scale, since the codes stand for twice the values.</summary>
    private static float[] BlockScales(QuantizedLayerTensors layer, StockLayout layout)
    {
        int groups = (layout.Columns + layout.GroupSize - 1) / layout.GroupSize;
        float[] ofGroups = GroupScales(layer, groups);
        float[] scales = new float[layout.Rows * layout.Blocks];
        for (int i = 0; i < scales.Length; i++)
        {
            (int row, int block) = Math.DivRem(i, layout.Blocks);
            scales[i] = 0.5f * ofGroups[(row * groups) + (block * layout.BlockSize / layout.GroupSize)];
        }

        return scales;
    }

    /// <summary>The values of all codes of a format.</summary>
    private static TensorData Values(NumberFormat format) =>
        new(DataType.Float, [format.CodeCount], Bytes<float>(format.Values.ToArray()));

    private static TensorData Integer(long value) => new(DataType.Int64, [], Bytes<long>(new[] { value }));

}
