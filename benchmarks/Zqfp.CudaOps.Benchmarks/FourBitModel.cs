using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Benchmarks;

/// <summary>
/// A model of the profile <c>stock</c> with 4-bit MatMulNBits in place of its 8-bit ones, of accuracy level 4 in blocks of 32: as fast
/// as any of that kind, though its weights are random.
/// </summary>
internal static class FourBitModel
{
    private const int Block = 32;

    /// <summary>Writes it beside the other, whose data file it shares.</summary>
    /// <returns>Its path.</returns>
    public static string Write(string stock)
    {
        string path = Path.ChangeExtension(stock, ".int4.onnx");
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(stock));
        var random = new Random(1);
        int products = 0;
        HashSet<string> replaced = [];
        foreach (NodeProto node in model.Graph.Node.Where(node => node.OpType == "MatMulNBits"))
        {
            Attribute(node, "bits").I = 4;
            Attribute(node, "block_size").I = Block;
            Attribute(node, "accuracy_level").I = 4;
            long columns = Attribute(node, "K").I, rows = Attribute(node, "N").I, blocks = (columns + Block - 1) / Block;
            byte[] codes = new byte[rows * blocks * Block / 2];
            random.NextBytes(codes);
            float[] scales = [.. Enumerable.Range(0, (int)(rows * blocks)).Select(_ => 0.002f + (0.004f * random.NextSingle()))];
            string name = $"int4.{products++}";
            model.Graph.Initializer.Add(Tensor(name + ".codes", DataType.Uint8, codes, rows, blocks, Block / 2));
            model.Graph.Initializer.Add(Tensor(name + ".scales", DataType.Float, MemoryMarshal.AsBytes(scales.AsSpan()), rows * blocks));
            string input = node.Input[0];
            replaced.UnionWith(node.Input.Skip(1));
            node.Input.Clear();
            node.Input.Add([input, name + ".codes", name + ".scales"]);
        }

        TensorProto[] kept = [.. model.Graph.Initializer.Where(tensor => !replaced.Contains(tensor.Name))];
        model.Graph.Initializer.Clear();
        model.Graph.Initializer.Add(kept);
        File.WriteAllBytes(path, model.ToByteArray());
        return path;
    }

    private static AttributeProto Attribute(NodeProto node, string name)
    {
        AttributeProto? found = node.Attribute.FirstOrDefault(one => one.Name == name);
        if (found is null)
        {
            found = Attributes.Make(name, 0L);
            node.Attribute.Add(found);
        }

        return found;
    }

    private static TensorProto Tensor(string name, DataType type, ReadOnlySpan<byte> content, params long[] shape) => new()
    {
        Name = name,
        DataType = (int)type,
        RawData = ByteString.CopyFrom(content),
        Dims = { shape },
    };
}
