using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// The profile <c>simulated</c>: weights as the float values that codes and scales stand for, activations rounded and back by
/// RoundTokens, rotated by RotateTokens, products in float32. It computes what any format would, saves nothing, and is for comparing
/// formats.
/// </summary>
internal sealed class SimulatedEmitter : LayerEmitter
{
    /// <summary>Nothing newer than the model itself.</summary>
    public override (long Ir, long Opset) Needs => (1, 1);

    public override string? Refusal(QuantizedLayerTensors layer) =>
        layer.Values is null ? $"The values of layer '{layer.Layer.Name}' are not known, only its codes." : null;

    public override IEnumerable<NodeProto> Prepare(QuantizedLayerTensors first)
    {
        string value = first.Layer.Input;
        string unrounded = Derived(value, "float");
        yield return Cast(value, unrounded, DataType.Float);
        if (first.Rotation > 0)
        {
            yield return RotateTokens(first, unrounded);
            unrounded = Rotated(value);
        }

        if (Format(first.Activations) is { } format)
        {
            AttributeProto attribute = new()
            {
                Name = "format",
                S = ByteString.CopyFromUtf8(format),
                Type = AttributeProto.Types.AttributeType.String,
            };
            string name = Derived(value, OperatorNames.RoundTokens);
            yield return Node(OperatorNames.Domain, OperatorNames.RoundTokens, name, [unrounded], [Derived(value, "rounded")], attribute);
        }
    }

    public override IEnumerable<NodeProto> Replace(QuantizedLayerTensors layer)
    {
        LinearLayer linear = layer.Layer;
        string x = Read(layer);
        string value = Derived(linear.Output, "product");
        yield return Standard("MatMul", [x, Part(linear, "values")], value);
        if (layer.Rank > 0)
        {
            string inner = Derived(linear.Output, "inner");
            string correction = Derived(linear.Output, "correction");
            yield return Standard("MatMul", [x, Down(linear)], inner);
            yield return Standard("MatMul", [inner, Part(linear, "up")], correction);
            yield return Standard("Add", [value, correction], value = Derived(linear.Output, "corrected"));
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
        yield return Turned(Part(linear, "values"), layer.Values!.Value.Span, linear.OutFeatures, linear.InFeatures);
        if (layer.Rank > 0)
        {
            yield return Turned(Down(linear), Floats(layer.Down.Span), layer.Rank, linear.InFeatures);
            yield return Turned(Part(linear, "up"), Floats(layer.Up.Span), linear.OutFeatures, layer.Rank);
        }
    }

    public override IEnumerable<NodeProto> Replace(ExpertTensors experts)
    {
        QuantizedLayerTensors all = experts.All;
        LinearLayer linear = all.Layer;
        string x = Read(all);
        string value = Derived(linear.Output, "product");
        yield return Product([x, experts.Index, Part(linear, "values")], value, linear.Name);
        if (all.Rank > 0)
        {
            string inner = Derived(linear.Output, "inner");
            string correction = Derived(linear.Output, "correction");
            yield return Product([x, experts.Index, Down(linear)], inner);
            yield return Product([inner, experts.Index, Part(linear, "up")], correction);
            yield return Standard("Add", [value, correction], value = Derived(linear.Output, "corrected"));
        }

        if (linear.Bias is not null)
        {
            yield return Standard("Gather", [linear.Bias, experts.Index], Derived(linear.Output, "bias_rows"));
            yield return Cast(Derived(linear.Output, "bias_rows"), Derived(linear.Output, "bias"), DataType.Float);
            yield return Standard("Add", [value, Derived(linear.Output, "bias")], value = Derived(linear.Output, "biased"));
        }

        yield return Cast(value, linear.Output, linear.Type);
    }

    public override IEnumerable<(string Name, TensorData Data)> Initializers(ExpertTensors experts)
    {
        QuantizedLayerTensors all = experts.All;
        (long count, long rows, long columns) = (experts.Experts.Count, all.Layer.OutFeatures, all.Layer.InFeatures);
        yield return (Part(all.Layer, "values"), experts.Join(DataType.Float, [count, rows, columns],
            expert => MemoryMarshal.AsBytes(expert.Values!.Value.Span).ToArray(), sizeof(float) * rows * columns));
        if (all.Rank > 0)
        {
            yield return (Down(all.Layer), experts.Down());
            yield return (Part(all.Layer, "up"), experts.Up());
        }
    }

    private NodeProto Product(string[] inputs, string output, string? name = null) => Node(
        OperatorNames.Domain, OperatorNames.ExpertMatMul, name ?? Derived(output, OperatorNames.ExpertMatMul), inputs, [output]);

    /// <summary>The value that products read for the layer's input.</summary>
    private string Read(QuantizedLayerTensors layer) => Derived(layer.Layer.Input, (layer.Activations, layer.Rotation) switch
    {
        (ActivationRounding.None, 0) => "float",
        (ActivationRounding.None, _) => "rotated",
        _ => "rounded",
    });

    /// <summary>A matrix [rows, columns] as the initializer [columns, rows] that MatMul reads.</summary>
    private static (string Name, TensorData Data) Turned(string name, ReadOnlySpan<float> values, int rows, int columns)
    {
        float[] turned = new float[values.Length];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                turned[(j * rows) + i] = values[(i * columns) + j];
            }
        }

        return (name, new TensorData(DataType.Float, [columns, rows], MemoryMarshal.AsBytes<float>(turned).ToArray()));
    }

    private static float[] Floats(ReadOnlySpan<Half> values)
    {
        float[] floats = new float[values.Length];
        for (int i = 0; i < floats.Length; i++)
        {
            floats[i] = (float)values[i];
        }

        return floats;
    }

    private static string? Format(ActivationRounding rounding) => rounding switch
    {
        ActivationRounding.Fp8 => "fp8_e4m3",
        ActivationRounding.Fp8E5M2 => "fp8_e5m2",
        ActivationRounding.Int8 => "int8",
        _ => null,
    };
}
