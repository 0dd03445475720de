using Google.Protobuf;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>Batched experts whose weights are codes with block scales, in standard operators.</summary>
public sealed class CodedExpertTests : IDisposable
{
    private const int Blocks = 2, Experts = 4;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;
    private readonly Random _random = new(5);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("mxfp4")]
    [InlineData("nvfp4")]
    [InlineData("fp8 by row")]
    [InlineData("fp8 in squares")]
    public void They_are_evaluated_passed_on_and_quantized_again(string kind)
    {
        (GraphCase coded, string twin) = Model(kind);
        var reference = new GraphCase(twin, Data("cal.i16"), Data("eval.i16"), _folder);
        Assert.Equal(1, coded.Perplexity() / reference.Perplexity(), 1e-5);
        Assert.Equal(Blocks * 2 * Experts, coded.Inspect().Layers.Count(layer => layer.Experts is not null && layer.Reason is null));

        QuantizeReport kept = coded.Quantize(coded.Exact with { Selection = new LayerSelection { Exclude = ["*experts.*"] } });
        Assert.Equal(Codes(coded.Options.ModelPath), Codes(kept.Output));
        Assert.InRange(coded.Compare(kept.Output).LargestDifference, 0, 1e-4);

        QuantizeReport again = coded.Quantize(coded.Options);
        Assert.Equal(Blocks * 2 * Experts, again.Layers.Count(layer => layer.Tokens > 0));
        Assert.Equal(0, Codes(again.Output));
        Assert.InRange(coded.Compare(again.Output).KullbackLeibler, 0, 0.2);
    }

    /// <summary>Bytes of codes in a model's own initializers.</summary>
    private static long Codes(string path)
    {
        using OnnxFile file = OnnxFile.Open(path);
        return file.Graph.Initializer.Where(tensor => tensor.Name.EndsWith(".codes", StringComparison.Ordinal)
            && !tensor.Name.Contains(".zqfp.", StringComparison.Ordinal)).Sum(tensor => file.Read(tensor).ByteLength);
    }

    private (GraphCase Coded, string Twin) Model(string kind)
    {
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Data("model.onnx")));
        OpsetRaiser.Raise(model, 23);
        model.IrVersion = 11;
        ModelProto twin = model.Clone();
        foreach (TensorProto weight in model.Graph.Initializer.Where(tensor => tensor.Dims.Count == 3).ToArray())
        {
            Write(model.Graph, twin.Graph, weight, kind);
        }

        (string path, string twinPath) = (Path.Combine(_folder, "coded.onnx"), Path.Combine(_folder, "twin.onnx"));
        File.WriteAllBytes(path, model.ToByteArray());
        File.WriteAllBytes(twinPath, twin.ToByteArray());
        return (new GraphCase(path, Data("cal.i16"), Data("eval.i16"), _folder), twinPath);
    }

    private void Write(GraphProto graph, GraphProto twin, TensorProto weight, string kind)
    {
        graph.Initializer.Remove(weight);
        (long experts, long rows, long columns) = (weight.Dims[0], weight.Dims[1], weight.Dims[2]);
        int count = (int)(experts * rows * columns);
        bool isFour = kind.EndsWith("fp4", StringComparison.Ordinal);
        byte[] codes = [.. Enumerable.Range(0, count).Select(_ => (byte)_random.Next(isFour ? 16 : 0x48))];
        int block = kind switch { "mxfp4" => 32, "nvfp4" => 16, "fp8 in squares" => 32, _ => (int)columns };
        int height = kind == "fp8 in squares" ? 32 : 1;
        long[] shape = [experts, rows / height, columns / block];
        byte[] small = [.. Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b)).Select(
            _ => (byte)(kind == "nvfp4" ? _random.Next(8, 40) : _random.Next(isFour ? 121 : 119, isFour ? 124 : 122)))];
        float[] scales = [.. small.Select(
            code => kind == "nvfp4" ? 0.75f * NumberFormat.E4M3.Decode(code) : MathF.ScaleB(1, code - 127))];
        NumberFormat format = isFour ? NumberFormat.E2M1 : NumberFormat.E4M3;
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++)
        {
            (long expert, long row, long column) = (i / (rows * columns), i / columns % rows, i % columns);
            long place = (((expert * shape[1]) + (row / height)) * shape[2]) + (column / block);
            numbers[i] = format.Decode(codes[i]) * scales[place];
        }

        TensorProto replaced = twin.Initializer.Single(tensor => tensor.Name == weight.Name);
        twin.Initializer[twin.Initializer.IndexOf(replaced)] = Tensors.Floats(weight.Name, numbers, weight.Dims);
        byte[] stored = isFour ? [.. codes.Chunk(2).Select(pair => (byte)(pair[0] | (pair[1] << 4)))] : codes;
        string name = weight.Name;
        graph.Initializer.Add(Raw($"{name}.codes", isFour ? DataType.Float4E2M1 : DataType.Float8E4M3Fn, stored, weight.Dims));
        graph.Initializer.Add(Raw($"{name}.small", kind == "nvfp4" ? DataType.Float8E4M3Fn : DataType.Float8E8M0, small,
            height > 1 ? [experts, shape[1], 1, shape[2], 1] : shape));
        List<NodeProto> nodes = [];
        if (kind == "nvfp4")
        {
            graph.Initializer.Add(Tensors.Floats($"{name}.global", [0.75f], []));
            nodes.Add(Node("DequantizeLinear", $"{name}.scales", $"{name}.small", $"{name}.global"));
        }
        else
        {
            nodes.Add(Node("Cast", $"{name}.scales", $"{name}.small"));
            nodes[^1].Attribute.Add(FamilyNodes.Int("to", (long)DataType.Float));
        }

        if (height == 1)
        {
            nodes.Add(Node("DequantizeLinear", name, $"{name}.codes", $"{name}.scales"));
            nodes[^1].Attribute.Add([FamilyNodes.Int("axis", 2), FamilyNodes.Int("block_size", block)]);
        }
        else
        {
            graph.Initializer.Add(Integers($"{name}.squares", experts, shape[1], height, shape[2], block));
            graph.Initializer.Add(Integers($"{name}.shape", experts, rows, columns));
            nodes.Add(Node("Cast", $"{name}.wide", $"{name}.codes"));
            nodes[^1].Attribute.Add(FamilyNodes.Int("to", (long)DataType.Float));
            nodes.Add(Node("Reshape", $"{name}.parts", $"{name}.wide", $"{name}.squares"));
            nodes.Add(Node("Mul", $"{name}.scaled", $"{name}.parts", $"{name}.scales"));
            nodes.Add(Node("Reshape", name, $"{name}.scaled", $"{name}.shape"));
        }

        for (int i = 0; i < nodes.Count; i++)
        {
            graph.Node.Insert(i, nodes[i]);
        }
    }

    private static NodeProto Node(string op, string output, params string[] inputs) =>
        new() { OpType = op, Name = output, Input = { inputs }, Output = { output } };

    private static TensorProto Raw(string name, DataType type, byte[] bytes, params IEnumerable<long> dims) =>
        new() { Name = name, DataType = (int)type, Dims = { dims }, RawData = ByteString.CopyFrom(bytes) };

    private static TensorProto Integers(string name, params long[] values) =>
        new() { Name = name, DataType = (int)DataType.Int64, Dims = { values.Length }, Int64Data = { values } };

    private static string Data(string file) => Repository.Path($"tests/Cases/moe_batched/{file}");
}
