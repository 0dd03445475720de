using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using ElementType = Zqfp.OnnxRewriter.Protos.TensorProto.Types.DataType;

namespace Zqfp.Quantization.Tests;

/// <summary>Our kernels against the function bodies in portable models, which stock ONNX Runtime executes.</summary>
public sealed class OperatorBodyTests : IDisposable
{
    private const int Tokens = 13;
    private const int Columns = 100;
    private const int Rows = 24;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Rounding_tokens_gives_the_same_bits()
    {
        float[] x = Random(Tokens * Columns, seed: 1, scale: 30);
        x.AsSpan(0, Columns).Clear();
        x[Columns] = 1e-38f;
        ModelProto model = Model("QuantizeTokens", ["X"], ["Xq", "Sx"]);
        // The package gives no FP8 outputs: each code is cast to the float it stands for.
        model.Graph.Node.Add(AsFloat("Xq", "Rounded"));
        model.Graph.Output.Add(Value("Rounded", ElementType.Float, Tokens, Columns));
        model.Graph.Output.Add(Value("Sx", ElementType.Float, Tokens, 1));
        byte[][] kernel = Run(model, x, withOperators: true);
        byte[][] body = Run(model, x, withOperators: false);
        Assert.Equal(body[0], kernel[0]);
        Assert.Equal(body[1], kernel[1]);
    }

    /// <summary>A body adds in another order than the kernel.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(16)]
    [InlineData(128)]
    [InlineData(256)]
    public void Rotating_tokens_gives_the_same_numbers_to_float_rounding(int block)
    {
        int columns = block == 0 ? 100 : 3 * block;
        float[] x = Random(Tokens * columns, seed: block, scale: 3);
        ModelProto model = Rotated("RotateTokens", ["Y"], columns, block);
        model.Graph.Output.Add(Value("Y", ElementType.Float, Tokens, columns));
        float[] kernel = Floats(Run(model, x, withOperators: true)[0]);
        float[] body = Floats(Run(model, x, withOperators: false)[0]);
        Assert.Equal(block == 0, x.AsSpan().SequenceEqual(kernel));
        Assert.All(kernel.Zip(body), pair => Assert.Equal(pair.First, pair.Second, block == 0 ? 0 : 1e-5f));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(64)]
    public void Rounding_rotated_tokens_gives_the_same_codes_but_at_ties(int block)
    {
        const int Width = 192;
        float[] x = Random(Tokens * Width, seed: 5, scale: 30);
        ModelProto model = Rotated("QuantizeTokens", ["Xq", "Sx"], Width, block);
        model.Graph.Node.Add(AsFloat("Xq", "Rounded"));
        model.Graph.Output.Add(Value("Rounded", ElementType.Float, Tokens, Width));
        model.Graph.Output.Add(Value("Sx", ElementType.Float, Tokens, 1));
        byte[][] kernel = Run(model, x, withOperators: true);
        byte[][] body = Run(model, x, withOperators: false);
        Assert.InRange(Floats(kernel[0]).Zip(Floats(body[0])).Count(pair => pair.First != pair.Second), 0, block == 0 ? 0 : 2);
        foreach ((float a, float b) in Floats(kernel[1]).Zip(Floats(body[1])))
        {
            Assert.Equal(a, b, block == 0 ? 0 : a * 1e-6f);
        }
    }

    [Theory]
    [InlineData(1, 100)]
    [InlineData(7, 32)]
    [InlineData(13, 64)]
    public void A_product_gives_the_same_numbers(int seed, int groupSize)
    {
        int groups = (Columns + groupSize - 1) / groupSize;
        var random = new Random(seed);
        byte[] codes = new byte[Rows * Columns / 2];
        random.NextBytes(codes);
        byte[] exponents = [.. Enumerable.Range(0, Rows * groups).Select(_ => (byte)random.Next(0, 15))];
        ModelProto model = Model("MatMulW4A8", ["Xq", "Sx", "W", "E", "S", "bias", "A", "B"], ["Y"]);
        NodeProto product = model.Graph.Node[0];
        product.Attribute.Add([Int("group_size", groupSize), Int("dtype", (long)ElementType.Float)]);
        model.Graph.Node.Insert(0, new NodeProto { Domain = "zqfp", OpType = "QuantizeTokens", Input = { "X" }, Output = { "Xq", "Sx" } });
        model.Graph.Initializer.Add(
        [
            Tensor("W", ElementType.Uint4, codes, Rows, Columns),
            Tensor("E", ElementType.Uint8, exponents, Rows, groups),
            Tensor("S", ElementType.Float, Bytes(Random(Rows, seed, 1)), Rows),
            Tensor("bias", ElementType.Float, Bytes(Random(Rows, seed + 1, 1)), Rows),
            Tensor("A", ElementType.Float16, Halves(Random(3 * Columns, seed + 2, 1)), 3, Columns),
            Tensor("B", ElementType.Float16, Halves(Random(Rows * 3, seed + 3, 1)), Rows, 3),
        ]);
        model.Graph.Output.Add(Value("Y", ElementType.Float, Tokens, Rows));
        float[] x = Random(Tokens * Columns, seed + 4, 5);
        float[] kernel = Floats(Run(model, x, withOperators: true)[0]);
        float[] body = Floats(Run(model, x, withOperators: false)[0]);
        double norm = Math.Sqrt(body.Sum(value => (double)value * value));
        double difference = Math.Sqrt(kernel.Zip(body, (a, b) => ((double)a - b) * ((double)a - b)).Sum());
        Assert.InRange(difference / norm, 0, 1e-6);
    }

    /// <summary>A model of one node, with the bodies that the portable profile writes.</summary>
    private ModelProto Model(string op, string[] inputs, string[] outputs)
    {
        string portable = Path.Combine(_folder, "portable.onnx");
        QuantizeJob.Run(
            SampleModel.Quick(portable) with
            {
                Profiles = [EmissionProfile.Portable],
                CalibrationPath = null,
                Quantization = new() { Method = Numerics.QuantizationMethod.Rtn, Rank = 0 },
            },
            new SilentObserver(),
            CancellationToken.None);
        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(portable));
        model.Graph = new GraphProto
        {
            Name = "test",
            Node = { new NodeProto { Domain = "zqfp", OpType = op, Input = { inputs }, Output = { outputs } } },
        };
        model.Graph.Input.Add(Value("X", ElementType.Float, Tokens, Columns));
        return model;
    }

    /// <summary>A model of one node that rotates, with the bodies that the portable profile writes for a rotated model.</summary>
    private ModelProto Rotated(string op, string[] outputs, int columns, int block)
    {
        ModelProto model = Model(op, ["X"], outputs);
        model.Functions.Clear();
        model.Functions.Add(FunctionBodies.All(rotated: true));
        model.Graph.Input[0] = Value("X", ElementType.Float, Tokens, columns);
        if (block > 0)
        {
            model.Graph.Node[0].Attribute.Add(Int("rotation", block));
        }

        return model;
    }

    private static byte[][] Run(ModelProto model, float[] x, bool withOperators)
    {
        var options = new SessionOptions();
        if (withOperators)
        {
            options.AddZqfpOperators();
        }

        using var session = new InferenceSession(model.ToByteArray(), options);
        using OrtValue input = OrtValue.CreateTensorValueFromMemory<float>(x, [Tokens, x.Length / Tokens]);
        OrtValue[] outputs = session.Run(["X"], [input], [.. session.OutputNames]);
        byte[][] bytes = [.. outputs.Select(output => output.GetTensorMutableRawData().ToArray())];
        Array.ForEach(outputs, output => output.Dispose());
        return bytes;
    }

    private static ValueInfoProto Value(string name, ElementType type, params long[] dims)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = new TensorShapeProto() };
        tensor.Shape.Dim.Add(dims.Select(dim => new TensorShapeProto.Types.Dimension { DimValue = dim }));
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }

    private static TensorProto Tensor(string name, ElementType type, byte[] bytes, params long[] dims) =>
        new() { Name = name, DataType = (int)type, Dims = { dims }, RawData = ByteString.CopyFrom(bytes) };

    private static AttributeProto Int(string name, long value) => new()
    {
        Name = name,
        I = value,
        Type = AttributeProto.Types.AttributeType.Int,
    };

    private static float[] Random(int count, int seed, float scale)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() * 2) - 1) * scale)];
    }

    private static byte[] Bytes(float[] values) => MemoryMarshal.AsBytes<float>(values).ToArray();

    private static NodeProto AsFloat(string input, string output) =>
        new() { OpType = "Cast", Input = { input }, Output = { output }, Attribute = { Int("to", (long)ElementType.Float) } };

    private static float[] Floats(byte[] bytes) => MemoryMarshal.Cast<byte, float>(bytes).ToArray();

    private static byte[] Halves(float[] values) => MemoryMarshal.AsBytes<Half>(Array.ConvertAll(values, value => (Half)value)).ToArray();
}
