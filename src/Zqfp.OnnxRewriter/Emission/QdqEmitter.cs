using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The profile <c>qdq</c>: standard ONNX alone. Weights are DequantizeLinear of FP4 or FP8 codes with a scale per block;
/// activations are rounded by Div, Cast, Cast, Mul (see <see cref="FunctionBodies"/> for why not by QDQ nodes), and rotated by a product
/// with a constant.
/// </summary>
internal sealed class QdqEmitter : LayerEmitter
{
    private string LastAxis => $"{Marker.Trim('.')}.last_axis";
    private string Largest => $"{Marker.Trim('.')}.e4m3_max";
    private string Zero => $"{Marker.Trim('.')}.zero";
    private string One => $"{Marker.Trim('.')}.one";

    /// <summary>DequantizeLinear of FLOAT4E2M1 belongs to operator set 23 and IR version 11.</summary>
    public override (long Ir, long Opset) Needs => (11, 23);

    public override IEnumerable<(string Name, TensorData Data)> SharedInitializers =>
    [
        (LastAxis, new TensorData(DataType.Int64, [1], MemoryMarshal.AsBytes<long>([-1L]).ToArray())),
        (Largest, Scalar(448)),
        (Zero, Scalar(0)),
        (One, Scalar(1)),
    ];

    public override string? Refusal(QuantizedLayerTensors layer) => null;

    public override IEnumerable<NodeProto> Prepare(QuantizedLayerTensors first)
    {
        string value = first.Layer.Input;
        string Name(string part) => Derived(value, part);
        yield return Cast(value, Name("float"), DataType.Float);
        string unrounded = Name("float");
        if (first.Rotation > 0)
        {
            foreach (NodeProto node in StandardRotation.Nodes(unrounded, Rotated(value), first.Rotation))
            {
                yield return node;
            }

            unrounded = Rotated(value);
        }

        if (first.Activations == ActivationRounding.None)
        {
            yield break;
        }

        yield return Standard("Abs", [unrounded], Name("magnitude"));
        yield return Standard("ReduceMax", [Name("magnitude"), LastAxis], Name("largest"));
        yield return Standard("Div", [Name("largest"), Largest], Name("free_scale"));
        yield return Standard("Equal", [Name("free_scale"), Zero], Name("is_zero"));
        yield return Standard("Where", [Name("is_zero"), One, Name("free_scale")], Name("scale"));
        yield return Standard("Div", [unrounded, Name("scale")], Name("scaled"));
        yield return Cast(Name("scaled"), Name("fp8"), DataType.Float8E4M3Fn);
        yield return Cast(Name("fp8"), Name("fp8_float"), DataType.Float);
        yield return Standard("Mul", [Name("fp8_float"), Name("scale")], Name("rounded"));
    }

    public override IEnumerable<NodeProto> Replace(QuantizedLayerTensors layer)
    {
        LinearLayer linear = layer.Layer;
        string x = Read(layer);
        string weight = Derived(linear.Output, "weight");
        yield return Standard(
            "DequantizeLinear",
            [Part(linear, "codes"), Part(linear, "scales")],
            weight,
            Attributes.Make("axis", 1),
            Attributes.Make("block_size", layer.GroupSize));
        string turned = Derived(linear.Output, "weight_t");
        yield return Standard("Transpose", [weight], turned);
        string value = Derived(linear.Output, "product");
        yield return Standard("MatMul", [x, turned], value);
        if (layer.Rank > 0)
        {
            (string down, string up) = (Derived(linear.Output, "down_float"), Derived(linear.Output, "up_float"));
            yield return Cast(Down(linear), down, DataType.Float);
            yield return Cast(Part(linear, "up"), up, DataType.Float);
            yield return Standard("MatMul", [x, down], Derived(linear.Output, "inner"));
            yield return Standard("MatMul", [Derived(linear.Output, "inner"), up], Derived(linear.Output, "correction"));
            yield return Standard("Add", [value, Derived(linear.Output, "correction")], value = Derived(linear.Output, "corrected"));
        }

        if (linear.Bias is not null)
        {
            yield return Cast(linear.Bias, Derived(linear.Output, "bias"), DataType.Float);
            yield return Standard("Add", [value, Derived(linear.Output, "bias")], value = Derived(linear.Output, "biased"));
        }

        yield return Cast(value, linear.Output, linear.Type);
    }

    public override IEnumerable<(string Name, TensorData Data)> Initializers(QuantizedLayerTensors layer)
    {
        LinearLayer linear = layer.Layer;
        (long rows, long columns, long groups) = Shape(layer);
        DataType codes = layer.CodesType == WeightCodes.Fp4E2M1 ? DataType.Float4E2M1 : DataType.Float8E4M3Fn;
        yield return (Part(linear, "codes"), new TensorData(codes, [rows, columns], layer.Codes));
        yield return (Part(linear, "scales"),
            new TensorData(DataType.Float, [rows, groups], Bytes<float>(GroupScales(layer, (int)groups))));
        foreach ((string Name, TensorData Data) constant in StandardRotation.Initializers(layer.Rotation))
        {
            yield return constant;
        }

        if (layer.Rank > 0)
        {
            yield return (Down(linear), Turned(layer.Down.Span, layer.Rank, (int)columns));
            yield return (Part(linear, "up"), Turned(layer.Up.Span, (int)rows, layer.Rank));
        }
    }

    public override IEnumerable<NodeProto> Replace(ExpertTensors experts)
    {
        QuantizedLayerTensors all = experts.All;
        LinearLayer linear = all.Layer;
        string weight = Derived(linear.Output, "weight");
        yield return Standard("DequantizeLinear", [Part(linear, "codes"), Part(linear, "scales")], weight,
            Attributes.Make("axis", 2), Attributes.Make("block_size", all.GroupSize));
        string made = Derived(linear.Output, "made");
        var nodes = new StandardExperts(made, Marker);
        (string rows, string picked) = nodes.Read(Read(all), experts.Index, Part(linear, "columns"));
        string value = nodes.Multiply("product", rows, picked, weight);
        if (all.Rank > 0)
        {
            string inner = nodes.Multiply("inner", rows, picked,
                nodes.Add("Cast", "down_float", [Down(linear)], Attributes.Make("to", (long)DataType.Float)));
            string up = nodes.Add("Gather", "up_matrices",
                [nodes.Add("Cast", "up_float", [Part(linear, "up")], Attributes.Make("to", (long)DataType.Float)), picked]);
            value = nodes.Add("Add", "corrected", [value, nodes.Add("MatMul", "correction", [up, inner])]);
        }

        value = nodes.Shape(value, experts.Index, Part(linear, "outputs"), "shaped");
        if (linear.Bias is not null)
        {
            string bias = nodes.Add("Cast", "bias", [nodes.Add("Gather", "bias_rows", [linear.Bias, experts.Index])],
                Attributes.Make("to", (long)DataType.Float));
            value = nodes.Add("Add", "biased", [value, bias]);
        }

        foreach (NodeProto node in nodes.Nodes)
        {
            yield return node;
        }

        yield return Cast(value, linear.Output, linear.Type);
    }

    public override IEnumerable<(string Name, TensorData Data)> Initializers(ExpertTensors experts)
    {
        QuantizedLayerTensors all = experts.All;
        LinearLayer linear = all.Layer;
        (long rows, long columns, long groups) = Shape(all);
        DataType codes = all.CodesType == WeightCodes.Fp4E2M1 ? DataType.Float4E2M1 : DataType.Float8E4M3Fn;
        yield return (Part(linear, "codes"), experts.Codes(codes));
        yield return (Part(linear, "scales"), experts.Join(DataType.Float, [experts.Experts.Count, rows, groups],
            expert => Bytes<float>(GroupScales(expert, (int)groups)), sizeof(float) * rows * groups));
        yield return (Part(linear, "columns"), TensorData.Integers(columns));
        yield return (Part(linear, "outputs"), TensorData.Integers(rows));
        if (all.Rank > 0)
        {
            yield return (Down(linear), experts.Down());
            yield return (Part(linear, "up"), experts.Up());
        }

        foreach ((string Name, TensorData Data) constant in StandardRotation.Initializers(all.Rotation)
            .Concat(StandardExperts.Constants(Marker)))
        {
            yield return constant;
        }
    }

    /// <summary>The value that products read for the layer's input.</summary>
    private string Read(QuantizedLayerTensors layer) => Derived(layer.Layer.Input, (layer.Activations, layer.Rotation) switch
    {
        (ActivationRounding.None, 0) => "float",
        (ActivationRounding.None, _) => "rotated",
        _ => "rounded",
    });

    private static TensorData Scalar(float value) => new(DataType.Float, [], BitConverter.GetBytes(value));
}
