using Google.Protobuf;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>
/// Writes every MoE of a model as QMoE with random codes, in one of the forms that the operator's schema has. A twin has the same numbers
/// in float32.
/// </summary>
/// <param name="kind">The attribute <c>quant_type</c>.</param>
/// <param name="bits">Bits of an integer weight.</param>
/// <param name="block">Inputs that share a scale; 0 for a row.</param>
/// <param name="hasZeroPoints">Whether zero points are given.</param>
internal sealed class QMoeForm(string kind, int bits = 4, int block = 0, bool hasZeroPoints = false)
{
    private readonly Random _random = new(5);

    /// <summary>Changes both models, which are equal.</summary>
    public void Spell(ModelProto model, ModelProto twin)
    {
        for (int i = 0; i < model.Graph.Node.Count; i++)
        {
            NodeProto node = model.Graph.Node[i];
            if (node.OpType != "MoE")
            {
                continue;
            }

            NodeProto quantized = new() { Name = node.Name, OpType = "QMoE", Domain = node.Domain, Output = { node.Output } };
            quantized.Input.Add([.. node.Input.Take(2), .. Enumerable.Repeat("", 15)]);
            quantized.Attribute.Add(node.Attribute);
            quantized.Attribute.Add(new AttributeProto
            {
                Name = "quant_type",
                S = ByteString.CopyFromUtf8(kind),
                Type = AttributeType.String,
            });
            quantized.Attribute.Add(FamilyNodes.Int("expert_weight_bits", bits));
            if (block > 0)
            {
                quantized.Attribute.Add(FamilyNodes.Int("block_size", block));
            }

            for (int part = 0; part < 2; part++)
            {
                Write(model.Graph, twin.Graph, quantized, part, node.Input[2 + (2 * part)]);
            }

            while (quantized.Input[^1].Length == 0)
            {
                quantized.Input.RemoveAt(quantized.Input.Count - 1);
            }

            model.Graph.Node[i] = quantized;
        }
    }

    private void Write(GraphProto graph, GraphProto twin, NodeProto node, int part, string weight)
    {
        TensorProto old = graph.Initializer.Single(tensor => tensor.Name == weight);
        graph.Initializer.Remove(old);
        (int experts, int rows, int columns) = ((int)old.Dims[0], (int)old.Dims[1], (int)old.Dims[2]);
        bool isFloat4 = kind is "fp4" or "nvfp4" or "wfp4afp8";
        int width = kind switch { "int" => block > 0 ? block : columns, "nvfp4" => 16, "fp8" => columns * rows, _ => 32 };
        int pack = 8 / bits;
        int[] codes = [.. Enumerable.Range(0, experts * rows * columns).Select(_ => _random.Next(kind == "fp8" ? 0x70 : 1 << bits))];
        int groups = codes.Length / width;
        int[] zeros = [.. Enumerable.Range(0, groups).Select(_ => hasZeroPoints ? _random.Next(1 << bits) : 1 << (bits - 1))];
        float[] each = [.. Enumerable.Range(0, experts).Select(_ => 0.5f + _random.NextSingle())];
        byte[] scaleCodes =
            [.. Enumerable.Range(0, groups).Select(_ => (byte)(kind == "nvfp4" ? _random.Next(8, 40) : _random.Next(120, 124)))];
        float[] scales = [.. scaleCodes.Select(code => kind switch
        {
            "int" => 0.4f * (0.5f + _random.NextSingle()) / (1 << bits),
            "fp8" => 0.001f,
            "nvfp4" => NumberFormat.E4M3.Decode(code),
            _ => MathF.ScaleB(1, code - 127),
        })];

        float[] numbers = new float[codes.Length];
        for (int i = 0; i < codes.Length; i++)
        {
            float global = kind == "int" ? 1 : each[i / (rows * columns)];
            numbers[i] = kind switch
            {
                "int" => (codes[i] - zeros[i / width]) * scales[i / width],
                "fp8" => NumberFormat.E4M3.Decode((byte)codes[i]) * global,
                _ => NumberFormat.E2M1.Decode((byte)codes[i]) * (scales[i / width] * global),
            };
        }

        if (kind == "fp8")
        {
            each = [.. each.Select(scale => scale * 0.001f)];
            numbers = [.. numbers.Select((_, i) => NumberFormat.E4M3.Decode((byte)codes[i]) * each[i / (rows * columns)])];
        }

        TensorProto replaced = twin.Initializer.Single(tensor => tensor.Name == weight);
        twin.Initializer[twin.Initializer.IndexOf(replaced)] = Tensors.Floats(weight, numbers, experts, rows, columns);
        node.Input[2 + (3 * part)] = Add(graph, $"{weight}.codes", kind == "fp8" ? DataType.Float8E4M3Fn : DataType.Uint8,
            Packed(codes), experts, rows, columns / pack);
        long[] shape = width == columns && kind == "int" ? [experts, rows] : [experts, rows, columns / Math.Min(width, columns)];
        if (kind == "int")
        {
            graph.Initializer.Add(Tensors.Floats($"{weight}.scales", scales, shape));
            node.Input[3 + (3 * part)] = $"{weight}.scales";
        }
        else
        {
            if (isFloat4)
            {
                node.Input[3 + (3 * part)] = Add(graph, $"{weight}.scales",
                    kind == "nvfp4" ? DataType.Float8E4M3Fn : DataType.Float8E8M0, scaleCodes, shape);
            }

            graph.Initializer.Add(Tensors.Floats($"{weight}.global", each, experts));
            node.Input[15 + part] = $"{weight}.global";
        }

        if (hasZeroPoints)
        {
            node.Input[11 + part] = Add(
                graph, $"{weight}.zeros", DataType.Uint8, Packed(zeros), [.. shape.SkipLast(1), shape[^1] / pack]);
        }
    }

    private byte[] Packed(int[] codes)
    {
        int pack = 8 / bits;
        byte[] bytes = new byte[codes.Length / pack];
        for (int i = 0; i < codes.Length; i++)
        {
            bytes[i / pack] |= (byte)(codes[i] << (bits * (i % pack)));
        }

        return bytes;
    }

    private static string Add(GraphProto graph, string name, DataType type, byte[] bytes, params long[] dims)
    {
        graph.Initializer.Add(
            new TensorProto { Name = name, DataType = (int)type, Dims = { dims }, RawData = ByteString.CopyFrom(bytes) });
        return name;
    }
}
