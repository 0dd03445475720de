using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The profile <c>custom</c>: a QuantizeTokens node for each value that quantized layers read, and one product node of
/// domain <c>zqfp</c> for each layer, with its codes, scales and low-rank factors as initializers.
/// </summary>
/// <remarks>
/// A rotation is an attribute of QuantizeTokens; in front of a product that reads tokens as they are it is a node RotateTokens.
/// The operators read and make float and float16. A layer that computes in another type, bfloat16, gets a Cast before and behind, and
/// its bias is added behind.
/// </remarks>
/// <param name="fourBitType">Element type that 4-bit codes are declared as; their bytes are the same.</param>
internal class CustomEmitter(DataType fourBitType) : LayerEmitter
{
    /// <summary>FLOAT4E2M1 belongs to IR version 11; the operators need no particular default operator set.</summary>
    public override (long Ir, long Opset) Needs => (11, 1);

    public override string? Refusal(QuantizedLayerTensors layer) =>
        Operator(layer) is null
            ? $"No operator multiplies {layer.CodesType} weights with "
                + $"{(layer.Exponents is null ? "free group scales" : "power-of-two group ratios")} and activations rounded to "
                + $"{layer.Activations}."
            : null;

    public override IEnumerable<NodeProto> Prepare(QuantizedLayerTensors first)
    {
        string value = first.Layer.Input;
        string read = Read(first.Layer);
        if (read != value)
        {
            yield return Cast(value, read, DataType.Float);
        }

        if (first.Activations == ActivationRounding.Fp8)
        {
            yield return Node(
                OperatorNames.Domain,
                OperatorNames.QuantizeTokens,
                Derived(value, OperatorNames.QuantizeTokens),
                [read],
                [Derived(value, "fp8"), Derived(value, "scale")],
                [.. RotationOf(first)]);
        }
        else if (first.Rotation > 0)
        {
            yield return RotateTokens(first, read);
        }
    }

    public override IEnumerable<NodeProto> Replace(QuantizedLayerTensors layer) => Product(layer, Operator(layer)!, index: null);

    public override IEnumerable<NodeProto> Replace(ExpertTensors experts) =>
        Product(experts.All, OperatorNames.ExpertPrefix + Operator(experts.All)!, experts.Index);

    /// <summary>The product of a layer, or, where <paramref name="index"/> tells each row's, of the experts of one product.</summary>
    private IEnumerable<NodeProto> Product(QuantizedLayerTensors layer, string op, string? index)
    {
        LinearLayer linear = layer.Layer;
        List<string> inputs = layer.Activations == ActivationRounding.Fp8
            ? [Derived(linear.Input, "fp8"), Derived(linear.Input, "scale")]
            : [layer.Rotation > 0 ? Rotated(linear.Input) : Read(linear)];
        if (index is not null)
        {
            inputs.Add(index);
        }

        inputs.Add(Part(linear, "codes"));
        if (layer.Exponents is not null)
        {
            inputs.Add(Part(linear, "exponents"));
        }

        inputs.Add(Part(linear, "scales"));
        inputs.AddRange(Optional(layer));
        bool isNative = IsNative(linear);
        string product = isNative ? linear.Output : Derived(linear.Output, "float");
        yield return Node(
            OperatorNames.Domain,
            op,
            linear.Name,
            inputs,
            [product],
            Attributes.Make("group_size", layer.GroupSize),
            Attributes.Make("dtype", (long)(isNative ? linear.Type : DataType.Float)));
        if (!isNative)
        {
            string cast = linear.Bias is null ? linear.Output : Derived(linear.Output, "product");
            yield return Cast(product, cast, linear.Type);
            if (linear.Bias is not null)
            {
                string bias = linear.Bias;
                if (index is not null)
                {
                    yield return Standard("Gather", [bias, index], bias = Derived(linear.Output, "bias"));
                }

                yield return Node("", "Add", Derived(linear.Output, "Add"), [cast, bias], [linear.Output]);
            }
        }
    }

    public override IEnumerable<(string Name, TensorData Data)> Initializers(QuantizedLayerTensors layer)
    {
        LinearLayer linear = layer.Layer;
        (long rows, long columns, long groups) = Shape(layer);
        yield return (Part(linear, "codes"), new TensorData(CodesType(layer), [rows, columns], layer.Codes));
        if (layer.Exponents is { } exponents)
        {
            yield return (Part(linear, "exponents"), new TensorData(DataType.Uint8, [rows, groups], exponents));
        }

        long[] scaleDims = layer.Exponents is null ? [rows, groups] : [rows];
        yield return (Part(linear, "scales"), new TensorData(DataType.Float, scaleDims, Bytes(layer.Scales)));
        if (layer.Rank > 0)
        {
            yield return (Down(linear), new TensorData(DataType.Float16, [layer.Rank, columns], Bytes(layer.Down)));
            yield return (Part(linear, "up"), new TensorData(DataType.Float16, [rows, layer.Rank], Bytes(layer.Up)));
        }
    }

    public override IEnumerable<(string Name, TensorData Data)> Initializers(ExpertTensors experts)
    {
        QuantizedLayerTensors all = experts.All;
        LinearLayer linear = all.Layer;
        (_, _, long groups) = Shape(all);
        yield return (Part(linear, "codes"), experts.Codes(CodesType(all)));
        if (all.Exponents is not null)
        {
            yield return (Part(linear, "exponents"), experts.Exponents(groups));
        }

        yield return (Part(linear, "scales"), experts.Scales(groups));
        if (all.Rank > 0)
        {
            yield return (Down(linear), experts.Down());
            yield return (Part(linear, "up"), experts.Up());
        }
    }

    private DataType CodesType(QuantizedLayerTensors layer) =>
        layer.CodesType == WeightCodes.Fp4E2M1 ? fourBitType : DataType.Float8E4M3Fn;

    /// <summary>The inputs behind the scales: bias and low-rank factors, where the layer has them.</summary>
    protected virtual IEnumerable<string> Optional(QuantizedLayerTensors layer) => (OperatorBias(layer.Layer), layer.Rank) switch
    {
        (null, 0) => [],
        ({ } bias, 0) => [bias],
        var (bias, _) => [bias ?? "", Down(layer.Layer), Part(layer.Layer, "up")],
    };

    /// <summary>The bias the operator adds; null where there is none or it is added behind.</summary>
    protected static string? OperatorBias(LinearLayer layer) => IsNative(layer) ? layer.Bias : null;

    private static bool IsNative(LinearLayer layer) => layer.Type is DataType.Float or DataType.Float16;

    /// <summary>The value that the operators read for the layer's input.</summary>
    private string Read(LinearLayer layer) => IsNative(layer) ? layer.Input : Derived(layer.Input, "float");

    private static string? Operator(QuantizedLayerTensors layer) => (layer.CodesType, layer.Exponents is not null, layer.Activations) switch
    {
        (WeightCodes.Fp4E2M1, true, ActivationRounding.Fp8) => OperatorNames.MatMulW4A8,
        (WeightCodes.Fp4E2M1, false, ActivationRounding.Fp8) => OperatorNames.MatMulW4A8Scaled,
        (WeightCodes.Fp4E2M1, true, ActivationRounding.None) => OperatorNames.MatMulW4A16,
        (WeightCodes.Fp8E4M3, true, ActivationRounding.Fp8) => OperatorNames.MatMulW8A8,
        (WeightCodes.Fp8E4M3, true, ActivationRounding.None) => OperatorNames.MatMulW8A16,
        _ => null,
    };
}
