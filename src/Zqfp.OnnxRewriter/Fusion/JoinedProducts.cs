using System.Runtime.InteropServices;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Products of the same tokens become one with the rows of all; a Split gives each its part, but where two go into a gate, which takes
/// them as one. Results are the same bits: each row is computed as before, and the low-rank factors of the others are zeros in it.
/// </summary>
/// <param name="nodes">The nodes.</param>
/// <param name="generated">Initializers of the quantized layers.</param>
/// <param name="constant">Any initializer's content, or null.</param>
/// <param name="canSplit">Whether the operator set has the Split that is needed.</param>
/// <param name="packs">Whether a gate takes two products as one.</param>
internal sealed class JoinedProducts(
    FusedNodes nodes, IReadOnlyDictionary<string, TensorData> generated, Func<string, TensorData?> constant, bool canSplit, bool packs)
{
    /// <summary>Initializers of the joined products.</summary>
    public Dictionary<string, TensorData> Initializers { get; } = new(StringComparer.Ordinal);

    private sealed record Part(NodeProto Node, TensorData Codes, TensorData[] Scales, TensorData? Bias, TensorData? Down, TensorData? Up)
    {
        public long Rows => Codes.Dims[0];

        public long Rank => Down?.Dims[0] ?? 0;
    }

    public List<NodeProto> Apply()
    {
        Dictionary<string, NodeProto> gates = nodes.Nodes
            .Where(node => node.Domain == OperatorNames.Domain && node.Input.Count == 2
                && node.OpType is OperatorNames.GateQuantizeTokens or OperatorNames.ActivateQuantizeTokens)
            .GroupBy(node => node.Input[0]).ToDictionary(group => group.Key, group => group.First());
        foreach (Part[] parts in nodes.Nodes.Select(Read).OfType<Part>().GroupBy(Key, (_, group) => group.ToArray()))
        {
            if (parts.Length == 1)
            {
                continue;
            }

            NodeProto? gate = packs && parts.Length == 2 ? parts.Select(part => gates.GetValueOrDefault(part.Node.Output[0]))
                .FirstOrDefault(found => found is not null && parts.All(part =>
                    found.Input.Contains(part.Node.Output[0]) && nodes.Reads(part.Node.Output[0]) == 1))
                : null;
            if (gate is not null)
            {
                Part[] ordered = parts[0].Node.Output[0] == gate.Input[0] ? parts : [parts[1], parts[0]];
                NodeProto joined = Join(ordered);
                NodeProto packed = gate.Clone();
                packed.Input.Clear();
                packed.Input.Add(joined.Output[0]);
                if (packed.OpType == OperatorNames.ActivateQuantizeTokens)
                {
                    packed.Attribute.Add(Attributes.Make(OperatorNames.Packed, 1));
                }

                nodes.Replace(parts[0].Node, [joined], parts.Skip(1).Select(part => part.Node));
                nodes.Replace(gate, [packed]);
            }
            else if (canSplit)
            {
                NodeProto joined = Join(parts);
                nodes.Replace(parts[0].Node, [joined, Split(joined, parts)], parts.Skip(1).Select(part => part.Node));
            }
        }

        return nodes.Apply();
    }

    /// <summary>What products must have in common.</summary>
    private static (string, string, string, long, long, DataType, long) Key(Part part) =>
    (
        part.Node.OpType, part.Node.Input[0], part.Node.Input[1], Attributes.Int(part.Node, OperatorNames.GroupSize, 0),
        Attributes.Int(part.Node, OperatorNames.OutputType, 1), part.Codes.Type, part.Codes.Dims[1]
    );

    /// <summary>A product whose constants can be joined; null for any other node.</summary>
    private Part? Read(NodeProto node)
    {
        int scales = node.Domain != OperatorNames.Domain ? 0 : node.OpType switch
        {
            OperatorNames.MatMulW4A8 or OperatorNames.MatMulW8A8 => 2,
            OperatorNames.MatMulW4A8Scaled => 1,
            _ => 0,
        };
        if (scales == 0 || !generated.TryGetValue(node.Input[2], out TensorData? codes) || codes.Dims[1] % 2 != 0)
        {
            return null;
        }

        string[] optional = [.. node.Input.Skip(3 + scales), "", "", ""];
        TensorData? bias = optional[0].Length > 0 ? constant(optional[0]) : null;
        TensorData? down = generated.GetValueOrDefault(optional[1]), up = generated.GetValueOrDefault(optional[2]);
        bool fits = (optional[0].Length == 0 || bias is { Type: DataType.Float or DataType.Float16 })
            && (down is null) == (optional[1].Length == 0)
            && down?.Type is null or DataType.Float16 && up?.Type is null or DataType.Float16;
        TensorData?[] read = [.. node.Input.Skip(3).Take(scales).Select(name => generated.GetValueOrDefault(name))];
        return fits && Array.TrueForAll(read, data => data is not null) ? new Part(node, codes, read!, bias, down, up) : null;
    }

    private NodeProto Join(Part[] parts)
    {
        string name = parts[0].Node.Input[2] + ".joined";
        long rows = parts.Sum(part => part.Rows), columns = parts[0].Codes.Dims[1], rank = parts.Sum(part => part.Rank);
        List<string> inputs = [parts[0].Node.Input[0], parts[0].Node.Input[1]];
        inputs.Add(Add(name, Concatenate(parts[0].Codes.Type, [rows, columns], [.. parts.Select(part => part.Codes)])));
        for (int i = 0; i < parts[0].Scales.Length; i++)
        {
            TensorData first = parts[0].Scales[i];
            inputs.Add(Add($"{name}.scales{i}", Concatenate(
                first.Type, [rows, .. first.Dims.Skip(1)], [.. parts.Select(part => part.Scales[i])])));
        }

        bool hasBias = parts.Any(part => part.Bias is not null);
        if (hasBias || rank > 0)
        {
            inputs.Add(hasBias ? Add($"{name}.bias", Biases(parts, rows)) : "");
        }

        if (rank > 0)
        {
            inputs.Add(Add($"{name}.down", Concatenate(
                DataType.Float16, [rank, columns], [.. parts.Select(part => part.Down).OfType<TensorData>()])));
            inputs.Add(Add($"{name}.up", BlockDiagonal(parts, rows, rank)));
        }

        return new NodeProto
        {
            Domain = OperatorNames.Domain,
            OpType = parts[0].Node.OpType,
            Name = parts[0].Node.Name + ".joined",
            Input = { inputs },
            Output = { parts[0].Node.Output[0] + QuantizedNames.Marker + "joined" },
            Attribute = { parts[0].Node.Attribute.Select(attribute => attribute.Clone()) },
        };
    }

    private NodeProto Split(NodeProto joined, Part[] parts)
    {
        long[] sizes = [.. parts.Select(part => part.Rows)];
        byte[] bytes = MemoryMarshal.AsBytes<long>(sizes).ToArray();
        string name = Add(joined.Input[2] + ".sizes", new TensorData(DataType.Int64, [sizes.Length], bytes));
        return new NodeProto
        {
            OpType = "Split",
            Name = joined.Name + ".split",
            Input = { joined.Output[0], name },
            Output = { parts.Select(part => part.Node.Output[0]) },
            Attribute = { Attributes.Make("axis", -1) },
        };
    }

    private string Add(string name, TensorData data)
    {
        Initializers.Add(name, data);
        return name;
    }

    /// <summary>One tensor behind another, read from where each of them lies.</summary>
    private static TensorData Concatenate(DataType type, long[] dims, TensorData[] parts) =>
        new(type, dims, parts.Sum(part => part.ByteLength), (offset, count) =>
        {
            byte[] bytes = new byte[count];
            int done = 0;
            long start = 0;
            foreach (TensorData part in parts)
            {
                long from = Math.Max(offset + done - start, 0);
                int length = (int)Math.Clamp(part.ByteLength - from, 0, count - done);
                if (length > 0 && offset + done >= start)
                {
                    part.Read(from, bytes.AsSpan(done, length));
                    done += length;
                }

                start += part.ByteLength;
            }

            return bytes;
        });

    /// <summary>The biases as floats, zero where a layer has none.</summary>
    private static TensorData Biases(Part[] parts, long rows)
    {
        float[] biases = new float[rows];
        long start = 0;
        foreach (Part part in parts)
        {
            part.Bias?.ReadFloats(0, biases.AsSpan((int)start, (int)part.Rows));
            start += part.Rows;
        }

        return new TensorData(DataType.Float, [rows], MemoryMarshal.AsBytes<float>(biases).ToArray());
    }

    private static TensorData BlockDiagonal(Part[] parts, long rows, long rank)
    {
        byte[] joined = new byte[rows * rank * sizeof(ushort)];
        long row = 0, first = 0;
        foreach (Part part in parts)
        {
            int length = (int)(part.Rank * sizeof(ushort));
            for (long i = 0; part.Up is not null && i < part.Rows; i++)
            {
                part.Up.Read(i * length, joined.AsSpan((int)((((row + i) * rank) + first) * sizeof(ushort)), length));
            }

            row += part.Rows;
            first += part.Rank;
        }

        return new TensorData(DataType.Float16, [rows, rank], joined);
    }
}
