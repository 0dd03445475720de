using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.AttributeProto.Types;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>
/// Writes every product of a model, the head's too, as the builder of ONNX Runtime GenAI does with <c>int4</c>: a MatMulNBits of random
/// codes. A twin has the same numbers in float32.
/// </summary>
internal sealed class Int4Form(int block, bool hasZeroPoints)
{
    private readonly Random _random = new(5);

    /// <summary>Changes both models, which are equal.</summary>
    public void Spell(ModelProto int4, ModelProto twin)
    {
        GraphProto graph = int4.Graph;
        Dictionary<string, TensorProto> weights = graph.Initializer.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        Dictionary<string, NodeProto> makers = graph.Node.SelectMany(node => node.Output, (node, output) => (node, output))
            .ToDictionary(entry => entry.output, entry => entry.node, StringComparer.Ordinal);
        for (int i = 0; i < graph.Node.Count; i++)
        {
            NodeProto node = graph.Node[i];
            if (node is not { OpType: "MatMul", Domain: "" })
            {
                continue;
            }

            bool isTied = makers.TryGetValue(node.Input[1], out NodeProto? transpose);
            string name = isTied ? transpose!.Input[0] : node.Input[1];
            if (!weights.TryGetValue(name, out TensorProto? weight))
            {
                continue;
            }

            (int inputs, int outputs) = isTied
                ? ((int)weight.Dims[1], (int)weight.Dims[0])
                : ((int)weight.Dims[0], (int)weight.Dims[1]);
            string stored = $"{node.Name}.{name}";
            float[] numbers = Quantize(graph, stored, inputs, outputs);
            NodeProto product = new()
            {
                OpType = "MatMulNBits",
                Domain = "com.microsoft",
                Name = $"{node.Name}_Q4",
                Input = { node.Input[0], $"{stored}_Q4", $"{stored}_scales" },
                Output = { node.Output[0] },
                Attribute = { Int("K", inputs), Int("N", outputs), Int("bits", 4), Int("block_size", block), Int("accuracy_level", 0) },
            };
            if (hasZeroPoints)
            {
                product.Input.Add($"{stored}_zero_points");
            }

            graph.Node[i] = product;

            // [K, N], as the twin's product reads it.
            float[] turned = new float[numbers.Length];
            for (int j = 0; j < numbers.Length; j++)
            {
                turned[(j % inputs * outputs) + (j / inputs)] = numbers[j];
            }

            twin.Graph.Initializer.Add(Tensor($"{stored}_float", DataType.Float, turned, inputs, outputs));
            twin.Graph.Node[i].Input[1] = $"{stored}_float";
        }
    }

    private float[] Quantize(GraphProto graph, string name, int inputs, int outputs)
    {
        int blocks = (inputs + block - 1) / block;
        byte[] packed = new byte[outputs * blocks * block / 2];
        byte[] zeroPoints = new byte[outputs * ((blocks + 1) / 2)];
        float[] scales = new float[outputs * blocks];
        float[] numbers = new float[outputs * inputs];
        for (int n = 0; n < outputs; n++)
        {
            for (int b = 0; b < blocks; b++)
            {
                float scale = scales[(n * blocks) + b] = (0.5f + _random.NextSingle()) / (8 * MathF.Sqrt(inputs));
                int zero = hasZeroPoints ? _random.Next(5, 11) : 8;
                zeroPoints[(n * ((blocks + 1) / 2)) + (b / 2)] |= (byte)(zero << (b % 2 * 4));
                for (int k = 0; k < block; k++)
                {
                    int code = _random.Next(16);
                    packed[(((n * blocks) + b) * block / 2) + (k / 2)] |= (byte)(code << (k % 2 * 4));
                    if ((b * block) + k < inputs)
                    {
                        numbers[(n * inputs) + (b * block) + k] = (code - zero) * scale;
                    }
                }
            }
        }

        graph.Initializer.Add(Tensor($"{name}_Q4", DataType.Uint8, packed, outputs, blocks, block / 2));
        graph.Initializer.Add(Tensor($"{name}_scales", DataType.Float, scales, outputs * blocks));
        if (hasZeroPoints)
        {
            graph.Initializer.Add(Tensor($"{name}_zero_points", DataType.Uint8, zeroPoints, zeroPoints.Length));
        }

        return numbers;
    }

    private static TensorProto Tensor<T>(string name, DataType type, T[] values, params long[] dims)
        where T : unmanaged => new()
        {
            Name = name,
            DataType = (int)type,
            Dims = { dims },
            RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<T>(values)),
        };

    private static AttributeProto Int(string name, long value) => new() { Name = name, I = value, Type = AttributeType.Int };
}
