using System.Runtime.InteropServices;
using Google.Protobuf;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>How the embedding and the head of a tiny decoder stand in its graph.</summary>
public enum VocabularyForm
{
    /// <summary>Two weights.</summary>
    Apart,

    /// <summary>Gather of the table, MatMul of its transposition.</summary>
    Transposed,

    /// <summary>The same with com.microsoft.FusedMatMul.</summary>
    Fused,

    /// <summary>The head's weight [D, V] as it is, Gather of its transposition.</summary>
    HeadFirst,

    /// <summary>The same numbers twice, as [V, D] and as [D, V].</summary>
    Twice,

    /// <summary>The table in bfloat16 behind a Cast that both read.</summary>
    Cast,

    /// <summary>A Gemm of tokens as rows.</summary>
    Gemm,
}

/// <summary>Rewrites <see cref="TinyDecoder"/> so that its embedding and its head are one weight, or not, in several spellings.</summary>
internal static class VocabularyModel
{
    private const int Tokens = TinyDecoder.Vocabulary;
    private const int Width = 32;

    /// <summary>Tokens of a window: a Gemm's rows say nothing of it.</summary>
    private const int Window = 64;

    /// <summary>Writes the model and returns its path.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="form">The spelling.</param>
    /// <param name="type">The type it computes in.</param>
    /// <param name="change">What the numbers of the table become; null to leave them.</param>
    public static string Write(
        string folder, VocabularyForm form, DataType type = DataType.Float, Func<float[], float[]>? change = null)
    {
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(TinyDecoder.Write(folder, type)));
        GraphProto graph = model.Graph;
        TensorProto head = graph.Initializer.Single(tensor => tensor.Name == "head.weight");
        float[] table = Transposed(Read(head), Width, Tokens);
        table = change?.Invoke(table) ?? table;
        if (form == VocabularyForm.Apart)
        {
            Set(head, [Width, Tokens], Transposed(table, Tokens, Width));
        }
        else
        {
            Tie(model, form, table);
        }

        string path = Path.Combine(folder, $"{form}.onnx");
        File.WriteAllBytes(path, model.ToByteArray());
        return path;
    }

    private static void Tie(ModelProto model, VocabularyForm form, float[] table)
    {
        GraphProto graph = model.Graph;
        TensorProto head = graph.Initializer.Single(tensor => tensor.Name == "head.weight");
        TensorProto embedding = graph.Initializer.Single(tensor => tensor.Name == "embedding");
        NodeProto lookup = graph.Node.Single(node => node.OpType == "Gather");
        NodeProto product = graph.Node.Single(node => node.Name == "head");
        Set(head, [Width, Tokens], Transposed(table, Tokens, Width));
        Set(embedding, [Tokens, Width], table);
        switch (form)
        {
            case VocabularyForm.Twice:
                return;
            case VocabularyForm.HeadFirst:
                graph.Initializer.Remove(embedding);
                graph.Node.Insert(0, Node("Transpose", "table", "head.weight"));
                lookup.Input[0] = "table";
                return;
            case VocabularyForm.Cast:
                Set(embedding, [Tokens, Width], table, DataType.Bfloat16);
                embedding.Name = "embedding.narrow";
                graph.Node.Insert(0, Node("Cast", "embedding", "embedding.narrow"));
                graph.Node[0].Attribute.Add(Int("to", head.DataType));
                break;
        }

        graph.Initializer.Remove(head);
        switch (form)
        {
            case VocabularyForm.Fused:
                product.OpType = "FusedMatMul";
                product.Domain = "com.microsoft";
                product.Attribute.Add(Int("transB", 1));
                product.Input[1] = "embedding";
                model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
                break;
            case VocabularyForm.Gemm:
                graph.Initializer.Add(Shape("rows", -1, Width));
                graph.Initializer.Add(Shape("logits_shape", -1, Window, Tokens));
                graph.Node.Insert(graph.Node.IndexOf(product), Node("Reshape", "as_rows", product.Input[0], "rows"));
                product.OpType = "Gemm";
                product.Attribute.Add(Int("transB", 1));
                product.Input[0] = "as_rows";
                product.Input[1] = "embedding";
                product.Output[0] = "logit_rows";
                graph.Node.Add(Node("Reshape", "logits", "logit_rows", "logits_shape"));
                break;
            default:
                graph.Node.Insert(graph.Node.IndexOf(product), Node("Transpose", "head.weight", "embedding"));
                break;
        }
    }

    private static NodeProto Node(string op, string output, params string[] inputs) =>
        new() { OpType = op, Output = { output }, Input = { inputs } };

    private static TensorProto Shape(string name, params long[] dims) =>
        new() { Name = name, DataType = (int)DataType.Int64, Dims = { dims.Length }, Int64Data = { dims } };

    private static AttributeProto Int(string name, long value) =>
        new() { Name = name, I = value, Type = AttributeProto.Types.AttributeType.Int };

    private static float[] Read(TensorProto tensor)
    {
        float[] values = new float[tensor.Dims.Aggregate(1L, (product, dim) => product * dim)];
        new Zqfp.OnnxRewriter.TensorData((DataType)tensor.DataType, [.. tensor.Dims], tensor.RawData.Memory).ReadFloats(0, values);
        return values;
    }

    private static void Set(TensorProto tensor, long[] dims, float[] values, DataType? type = null)
    {
        tensor.DataType = (int)(type ?? (DataType)tensor.DataType);
        tensor.Dims.Clear();
        tensor.Dims.AddRange(dims);
        tensor.RawData = ByteString.CopyFrom((DataType)tensor.DataType switch
        {
            DataType.Float16 => MemoryMarshal.AsBytes<Half>(Array.ConvertAll(values, value => (Half)value)).ToArray(),
            DataType.Bfloat16 => MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(
                values, value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))).ToArray(),
            _ => MemoryMarshal.AsBytes<float>(values).ToArray(),
        });
    }

    private static float[] Transposed(float[] values, int rows, int columns)
    {
        float[] turned = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            turned[(i % columns * rows) + (i / columns)] = values[i];
        }

        return turned;
    }
}
