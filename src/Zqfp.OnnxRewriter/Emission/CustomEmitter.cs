using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Graphs;
using Zqfp.OnnxRewriter.Layers;
using Zqfp.OnnxRewriter.Protos;
using Zqfp.OnnxRewriter.Tensors;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Emission;

/// <summary>
/// The profile <c>custom</c>: a QuantizeTokens node for each value that quantized layers read, and one product node of
/// domain <c>zqfp</c> for each layer, with its codes, scales and low-rank factors as initializers.
/// </summary>
internal static class CustomEmitter
{
    /// <summary>The combinations of codes, scales and activation rounding for which the domain has an operator.</summary>
    public static string? OperatorFor(WeightCodes codes, bool hasExponents, ActivationRounding activations) => (codes, hasExponents, activations) switch
    {
        (WeightCodes.Fp4E2M1, true, ActivationRounding.Fp8) => OperatorNames.MatMulW4A8,
        (WeightCodes.Fp4E2M1, false, ActivationRounding.Fp8) => OperatorNames.MatMulW4A8Scaled,
        (WeightCodes.Fp4E2M1, true, ActivationRounding.None) => OperatorNames.MatMulW4A16,
        (WeightCodes.Fp8E4M3, true, ActivationRounding.Fp8) => OperatorNames.MatMulW8A8,
        _ => null,
    };

    /// <summary>The rounding of <paramref name="value"/>, which the layers that read it share.</summary>
    public static NodeProto QuantizeTokens(string value) => new()
    {
        Name = value + ".zqfp.QuantizeTokens",
        Domain = OperatorNames.Domain,
        OpType = OperatorNames.QuantizeTokens,
        Input = { value },
        Output = { Rounded(value), TokenScales(value) },
    };

    /// <summary>The node that replaces <paramref name="tensors"/>' layer.</summary>
    public static NodeProto Product(QuantizedLayerTensors tensors)
    {
        LinearLayer layer = tensors.Layer;
        string weight = layer.Weight;
        NodeProto node = new()
        {
            Name = layer.Name,
            Domain = OperatorNames.Domain,
            OpType = OperatorFor(tensors.CodesType, tensors.Exponents is not null, tensors.Activations)!,
            Output = { layer.Output },
            Attribute = { Attributes.Make("group_size", tensors.GroupSize), Attributes.Make("dtype", (long)layer.Type) },
        };
        node.Input.AddRange(tensors.Activations == ActivationRounding.Fp8 ? [Rounded(layer.Input), TokenScales(layer.Input)] : [layer.Input]);
        node.Input.Add(weight + CodesSuffix);
        if (tensors.Exponents is not null)
        {
            node.Input.Add(weight + ExponentsSuffix);
        }

        node.Input.Add(weight + ScalesSuffix);
        if (layer.Bias is not null || tensors.Rank > 0)
        {
            node.Input.Add(layer.Bias ?? "");
        }

        if (tensors.Rank > 0)
        {
            node.Input.Add([weight + DownSuffix, weight + UpSuffix]);
        }

        return node;
    }

    /// <summary>The initializers the product node reads, by name.</summary>
    public static IEnumerable<(string Name, TensorData Data)> Initializers(QuantizedLayerTensors tensors)
    {
        string weight = tensors.Layer.Weight;
        long rows = tensors.Layer.OutFeatures;
        long columns = tensors.Layer.InFeatures;
        long groups = (columns + tensors.GroupSize - 1) / tensors.GroupSize;
        DataType codes = tensors.CodesType == WeightCodes.Fp4E2M1 ? DataType.Float4E2M1 : DataType.Float8E4M3Fn;
        yield return (weight + CodesSuffix, new TensorData(codes, [rows, columns], tensors.Codes));
        if (tensors.Exponents is { } exponents)
        {
            yield return (weight + ExponentsSuffix, new TensorData(DataType.Uint8, [rows, groups], exponents));
        }

        long[] scaleDims = tensors.Exponents is null ? [rows, groups] : [rows];
        yield return (weight + ScalesSuffix, new TensorData(DataType.Float, scaleDims, Bytes(tensors.Scales)));
        if (tensors.Rank > 0)
        {
            yield return (weight + DownSuffix, new TensorData(DataType.Float16, [tensors.Rank, columns], Bytes(tensors.Down)));
            yield return (weight + UpSuffix, new TensorData(DataType.Float16, [rows, tensors.Rank], Bytes(tensors.Up)));
        }
    }

    private const string CodesSuffix = ".zqfp.codes";
    private const string ExponentsSuffix = ".zqfp.exponents";
    private const string ScalesSuffix = ".zqfp.scales";
    private const string DownSuffix = ".zqfp.down";
    private const string UpSuffix = ".zqfp.up";

    private static string Rounded(string value) => value + ".zqfp.fp8";

    private static string TokenScales(string value) => value + ".zqfp.scale";

    private static byte[] Bytes<T>(ReadOnlyMemory<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes(values.Span).ToArray();
}
