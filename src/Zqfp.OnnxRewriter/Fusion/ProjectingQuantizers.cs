using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Low-rank factors A go to what quantizes the tokens, which has them at hand: it takes A x of all products that read its codes, and these
/// add B of their part. Each product's B is widened by zeros for the others' ranks.
/// </summary>
/// <param name="nodes">The nodes.</param>
/// <param name="initializers">Content of initializers that were made for quantized layers; null for any other.</param>
internal sealed class ProjectingQuantizers(FusedNodes nodes, Func<string, TensorData?> initializers)
{
    /// <summary>Initializers that differ from those read before.</summary>
    public Dictionary<string, TensorData> Initializers { get; } = new(StringComparer.Ordinal);

    private sealed record Branch(NodeProto Product, int FirstOptional, string Down, string Up, TensorData A, TensorData B)
    {
        public long Rank => A.Dims[0];
    }

    public List<NodeProto> Apply()
    {
        ILookup<string, NodeProto> readers = nodes.Nodes.Where(node => Optionals(node) > 0).ToLookup(node => node.Input[0]);
        foreach (NodeProto quantize in nodes.Nodes)
        {
            if (Places(quantize) is not { } places)
            {
                continue;
            }

            Branch[] branches =
            [
                .. readers[quantize.Output[0]].Where(node => node.Input[1] == quantize.Output[1]).Select(Read).OfType<Branch>()
            ];
            if (branches.Length > 0)
            {
                Project(quantize, places, branches);
            }
        }

        return nodes.Apply();
    }

    private void Project(NodeProto quantize, (int Input, int Output) places, Branch[] branches)
    {
        const int Step = OperatorNames.RankStep;
        long total = branches.Sum(branch => branch.Rank), padded = (total + Step - 1) / Step * Step;
        bool asItIs = branches.Length == 1 && padded == total;
        string projections = quantize.Output[0] + QuantizedNames.Marker + "projected";
        NodeProto projecting = quantize.Clone();
        Put(projecting.Input, places.Input, asItIs ? branches[0].Down
            : Add(projections + ".down", Stack([.. branches.Select(branch => branch.A)], padded)));
        Put(projecting.Output, places.Output, projections);
        nodes.Replace(quantize, [projecting]);
        long first = 0;
        foreach (Branch branch in branches)
        {
            NodeProto product = branch.Product.Clone();
            product.Input[branch.FirstOptional + 1] = "";
            product.Input[branch.FirstOptional + 2] =
                asItIs ? branch.Up : Add(product.Output[0] + QuantizedNames.Marker + "up", Widen(branch.B, first, padded));
            Put(product.Input, branch.FirstOptional + 3, projections);
            nodes.Replace(branch.Product, [product]);
            first += branch.Rank;
        }
    }

    /// <summary>Where a node that quantizes takes A and gives Z; null for any other node.</summary>
    private static (int Input, int Output)? Places(NodeProto node) => node.Domain != OperatorNames.Domain ? null : node.OpType switch
    {
        OperatorNames.QuantizeTokens => (1, 2),
        OperatorNames.GateQuantizeTokens or OperatorNames.ActivateQuantizeTokens => (2, 2),
        OperatorNames.NormQuantizeTokens => (4, 3),
        _ => null,
    };

    /// <summary>Where the optional inputs of a product of codes begin; 0 for any other node.</summary>
    private static int Optionals(NodeProto node) => node.Domain != OperatorNames.Domain ? 0 : node.OpType switch
    {
        OperatorNames.MatMulW4A8 or OperatorNames.MatMulW8A8 => 5,
        OperatorNames.MatMulW4A8Scaled => 4,
        _ => 0,
    };

    private Branch? Read(NodeProto node)
    {
        int first = Optionals(node);
        if (node.Input.Count != first + 3 || initializers(node.Input[first + 1]) is not { Type: DataType.Float16 } a
            || initializers(node.Input[first + 2]) is not { Type: DataType.Float16 } b)
        {
            return null;
        }

        return new Branch(node, first, node.Input[first + 1], node.Input[first + 2], a, b);
    }

    /// <summary>One factor A under another, and zeros.</summary>
    private static TensorData Stack(TensorData[] factors, long rank)
    {
        long columns = factors[0].Dims[1];
        byte[] stacked = new byte[rank * columns * sizeof(ushort)];
        int done = 0;
        foreach (TensorData factor in factors)
        {
            factor.Read(0, stacked.AsSpan(done, (int)factor.ByteLength));
            done += (int)factor.ByteLength;
        }

        return new TensorData(DataType.Float16, [rank, columns], stacked);
    }

    /// <summary>B in the columns from <paramref name="first"/> on, zeros in the others.</summary>
    private static TensorData Widen(TensorData factor, long first, long rank)
    {
        long rows = factor.Dims[0];
        int length = (int)(factor.Dims[1] * sizeof(ushort));
        byte[] widened = new byte[rows * rank * sizeof(ushort)];
        for (long row = 0; row < rows; row++)
        {
            factor.Read(row * length, widened.AsSpan((int)(((row * rank) + first) * sizeof(ushort)), length));
        }

        return new TensorData(DataType.Float16, [rows, rank], widened);
    }

    private string Add(string name, TensorData data)
    {
        Initializers.Add(name, data);
        return name;
    }

    private static void Put(Google.Protobuf.Collections.RepeatedField<string> names, int index, string name)
    {
        while (names.Count <= index)
        {
            names.Add("");
        }

        names[index] = name;
    }
}
