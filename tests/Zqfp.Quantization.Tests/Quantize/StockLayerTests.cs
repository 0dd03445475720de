using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Zqfp.Evaluation;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.Quantization.Tests;

/// <summary>
/// Single layers in the profile <c>stock</c>, in sessions at the default optimization level that have no operators of ours.
/// </summary>
public sealed class StockLayerTests : IDisposable
{
    private const int Tokens = 5;
    private const int Rows = 24;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// Rows that are no multiple of a block, groups that do not divide a row, and groups that are no multiple of a block.
    /// </summary>
    [Theory]
    [InlineData(256, 256)]
    [InlineData(512, 128)]
    [InlineData(256, 16)]
    [InlineData(100, 100)]
    [InlineData(100, 64)]
    [InlineData(288, 256)]
    [InlineData(256, 96)]
    [InlineData(60, 24)]
    [InlineData(7, 256)]
    public void Computes_the_product_with_the_FP4_weights(int columns, int groupSize)
    {
        foreach (int level in (int[])[0, 1])
        {
            AssertClose(1e-5, new Layer { Columns = columns, GroupSize = groupSize, AccuracyLevel = level });
        }
    }

    [Theory]
    [InlineData(256, 256)]
    [InlineData(288, 256)]
    [InlineData(256, 16)]
    [InlineData(100, 100)]
    public void Rounds_activations_to_int8_at_level_4(int columns, int groupSize) =>
        AssertClose(0.01, new Layer { Columns = columns, GroupSize = groupSize, AccuracyLevel = 4 });

    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 0)]
    [InlineData(false, 3)]
    [InlineData(true, 3)]
    public void Adds_bias_and_low_rank_branch(bool hasBias, int rank)
    {
        foreach (WeightCodes codes in (WeightCodes[])[WeightCodes.Fp4E2M1, WeightCodes.Fp8E4M3])
        {
            AssertClose(1e-5, new Layer { HasBias = hasBias, Rank = rank, Codes = codes });
            AssertClose(3e-3, new Layer { HasBias = hasBias, Rank = rank, Codes = codes, Type = DataType.Float16 });
        }
    }

    [Theory]
    [InlineData(WeightCodes.Fp4E2M1, 128, true)]
    [InlineData(WeightCodes.Fp4E2M1, 40, true)]
    [InlineData(WeightCodes.Fp4E2M1, 40, false)]
    [InlineData(WeightCodes.Fp8E4M3, 128, false)]
    [InlineData(WeightCodes.Fp8E4M3, 100, false)]
    internal void Takes_free_group_scales_and_FP8_weights(WeightCodes codes, int groupSize, bool hasFreeScales) =>
        AssertClose(1e-5, new Layer { Codes = codes, GroupSize = groupSize, HasFreeScales = hasFreeScales });

    [Theory]
    [InlineData(256)]
    [InlineData(32)]
    [InlineData(2)]
    public void Rotates_the_input_in_blocks(int rotation)
    {
        AssertClose(1e-5, new Layer { Rotation = rotation, Rank = 3, HasBias = true });
        AssertClose(3e-3, new Layer { Rotation = rotation, Rank = 3, Type = DataType.Float16 });
    }

    private void AssertClose(double tolerance, Layer layer)
    {
        (float[] expected, float[] actual) = layer.Run(_folder);
        double error =
            Norm([.. expected.Zip(actual, (one, other) => (double)one - other)]) / Norm([.. expected.Select(value => (double)value)]);
        Assert.True(error < tolerance, $"{layer}: relative error {error}");
        Assert.True(layer.AccuracyLevel < 4 || error > 1e-4, $"{layer}: nothing was rounded, relative error {error}");
    }

    private static double Norm(double[] values) => Math.Sqrt(values.Sum(value => value * value));

    private sealed record Layer
    {
        public int Columns { get; init; } = 256;

        public int GroupSize { get; init; } = 128;

        public WeightCodes Codes { get; init; } = WeightCodes.Fp4E2M1;

        public bool HasFreeScales { get; init; }

        public bool HasBias { get; init; }

        public int Rank { get; init; }

        public int Rotation { get; init; }

        public DataType Type { get; init; } = DataType.Float;

        public int AccuracyLevel { get; init; } = 1;

        /// <summary>The layer's output by its definition in double precision, and what ONNX Runtime makes of the saved model.</summary>
        public (float[] Expected, float[] Actual) Run(string folder)
        {
            string source = Path.Combine(folder, "source.onnx");
            string output = Path.Combine(folder, "stock.onnx");
            File.WriteAllBytes(source, Source().ToByteArray());
            using (OnnxFile file = OnnxFile.Open(source))
            {
                var graph = new GraphIndex(file.Graph, source);
                var rewriter = new ModelRewriter(file, graph) { AccuracyLevel = AccuracyLevel };
                rewriter.Require(EmissionProfile.Stock);
                rewriter.Replace([Quantized(LinearLayerFinder.Find(graph, "y").Single())]);
                using ModelWriter written = rewriter.Write(output, EmissionProfile.Stock, [], "zqfp.content", CancellationToken.None);
                written.Commit();
            }

            float[] x = Random(Tokens * Columns, seed: 1);
            return (Expected(Rotated(x)), Execute(output, x));
        }

        private static float[] Execute(string model, float[] x)
        {
            RuntimeLibrary.Start();
            using var session = new InferenceSession(model);
            using OrtValue input = OrtValue.CreateTensorValueFromMemory(x, [1, Tokens, x.Length / Tokens]);
            using OrtValue y = session.Run(["x"], [input], ["y_float"])[0];
            return y.GetTensorDataAsSpan<float>().ToArray();
        }

        /// <summary>The float layer, between casts where it is not float32.</summary>
        private ModelProto Source()
        {
            ModelProto model = new()
            {
                IrVersion = 8,
                Graph = new GraphProto { Name = "layer" },
                OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 17 } },
            };
            GraphProto graph = model.Graph;
            graph.Input.Add(Value("x", DataType.Float, Columns));
            graph.Output.Add([Value("y_float", DataType.Float, Rows), Value("y", Type, Rows)]);
            graph.Initializer.Add([Constant("w", [Columns, Rows], new float[Columns * Rows]), Constant("b", [Rows], Bias)]);
            graph.Node.Add(new NodeProto { OpType = "Cast", Input = { "x" }, Output = { "x_typed" }, Attribute = { To(Type) } });
            graph.Node.Add(
                new NodeProto { OpType = "MatMul", Name = "layer", Input = { "x_typed", "w" }, Output = { HasBias ? "xw" : "y" } });
            if (HasBias)
            {
                graph.Node.Add(new NodeProto { OpType = "Add", Input = { "xw", "b" }, Output = { "y" } });
            }

            graph.Node.Add(new NodeProto { OpType = "Cast", Input = { "y" }, Output = { "y_float" }, Attribute = { To(DataType.Float) } });
            return model;
        }

        private QuantizedLayerTensors Quantized(LinearLayer layer) => new()
        {
            Layer = layer,
            CodesType = Codes,
            Codes = Codes == WeightCodes.Fp4E2M1 ? Packed(AllCodes) : AllCodes,
            GroupSize = GroupSize,
            Exponents = HasFreeScales ? default(ReadOnlyMemory<byte>?) : Exponents,
            Scales = Scales,
            Rank = Rank,
            Down = Halves(Down),
            Up = Halves(Up),
            Activations = ActivationRounding.Fp8,
            Rotation = Rotation,
        };

        private int Groups => (Columns + GroupSize - 1) / GroupSize;

        /// <summary>One code a byte; no FP8 code is a NaN.</summary>
        private byte[] AllCodes
        {
            get
            {
                byte[] codes = new byte[Rows * Columns];
                new Random(2).NextBytes(codes);
                return [.. codes.Select(code => (byte)(Codes == WeightCodes.Fp4E2M1 ? code & 15 : (code & 127) == 127 ? 126 : code))];
            }
        }

        private static byte[] Packed(byte[] codes)
        {
            byte[] packed = new byte[(codes.Length + 1) / 2];
            NibblePacking.Pack(codes, packed);
            return packed;
        }

        private byte[] Exponents => [.. Enumerable.Range(0, Rows * Groups).Select(i => (byte)(i * 7 % 5))];

        private float[] Scales => [.. Random(Rows * (HasFreeScales ? Groups : 1), seed: 3).Select(value => 0.01f + MathF.Abs(value))];

        private static float[] Bias => Random(Rows, seed: 4);

        private float[] Down => Random(Rank * Columns, seed: 5);

        private float[] Up => Random(Rows * Rank, seed: 6);

        /// <summary>
        /// Each block times the matrix whose entries are +-1 / sqrt(block), negative where i and j share an odd number of bits.
        /// </summary>
        private float[] Rotated(float[] x) => Rotation == 0 ? x :
        [
            .. Enumerable.Range(0, x.Length).Select(i => (float)(Enumerable.Range(0, Rotation)
                .Sum(j => x[i - (i % Rotation) + j] * (int.IsEvenInteger(int.PopCount(i % Rotation & j)) ? 1.0 : -1.0))
                / Math.Sqrt(Rotation))),
        ];

        private float[] Expected(float[] x)
        {
            NumberFormat format = Codes == WeightCodes.Fp4E2M1 ? NumberFormat.E2M1 : NumberFormat.E4M3;
            byte[] codes = AllCodes;
            (byte[] exponents, float[] scales, float[] bias, float[] down, float[] up) = (Exponents, Scales, Bias, Down, Up);
            float[] y = new float[Tokens * Rows];
            for (int token = 0; token < Tokens; token++)
            {
                for (int row = 0; row < Rows; row++)
                {
                    double sum = HasBias ? bias[row] : 0;
                    for (int column = 0; column < Columns; column++)
                    {
                        int group = (row * Groups) + (column / GroupSize);
                        double scale = HasFreeScales ? scales[group] : scales[row] * Math.Pow(2, -exponents[group]);
                        double weight = scale * format.Decode(codes[(row * Columns) + column]);
                        for (int r = 0; r < Rank; r++)
                        {
                            weight += (double)(Half)up[(row * Rank) + r] * (double)(Half)down[(r * Columns) + column];
                        }

                        sum += weight * x[(token * Columns) + column];
                    }

                    y[(token * Rows) + row] = (float)sum;
                }
            }

            return y;
        }

        private TensorProto Constant(string name, long[] dims, float[] values) => new()
        {
            Name = name,
            DataType = (int)Type,
            Dims = { dims },
            RawData = ByteString.CopyFrom(Type == DataType.Float
                ? MemoryMarshal.AsBytes<float>(values)
                : MemoryMarshal.AsBytes<Half>(Halves(values))),
        };

        private static Half[] Halves(float[] values) => Array.ConvertAll(values, value => (Half)value);

        private static float[] Random(int count, int seed)
        {
            var random = new Random(seed);
            return [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextSingle()) - 1)];
        }

        private static AttributeProto To(DataType type) => new()
        {
            Name = "to",
            I = (long)type,
            Type = AttributeProto.Types.AttributeType.Int,
        };

        private static ValueInfoProto Value(string name, DataType type, long last)
        {
            var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = new TensorShapeProto() };
            tensor.Shape.Dim.Add([new() { DimParam = "batch" }, new() { DimParam = "length" }, new() { DimValue = last }]);
            return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
        }
    }
}
