using System.Runtime.InteropServices;
using Zqfp.CudaOps;
using Zqfp.Tests;

namespace Zqfp.GpuBench;

/// <summary>
/// The operators as ONNX Runtime calls them, on the GPU and on the processor, with the same inputs. The GPU's are those of the CUDA
/// provider, which the library at hand need not have: they are registered for the CPU provider here, in models of one node, and
/// every input and output is bound to device memory, so that they get what that provider would give them but for its stream.
/// </summary>
internal sealed class OperatorChecks(Bench bench, Action<string, bool, string> report)
{
    private static readonly Shape[] Shapes =
    [
        new(1, 4096, 4096, 256), new(16, 1024, 2048, 256, Rank: 8), new(24, 512, 1024, 128, Rank: 64, Bias: true),
        new(64, 768, 768, 256, Rank: 8, Bias: true),
        new(300, 640, 1536, 256), new(5, 96, 160, 32, HalfOutput: true), new(3, 33, 75, 25, Rank: 5, Bias: true), new(7, 64, 48, 16),
        new(9, 256, 1024, 256, Operator: OperatorNames.MatMulW4A8Scaled),
        new(2, 40, 36, 12, Operator: OperatorNames.MatMulW4A8Scaled, Rank: 3, Bias: true, HalfOutput: true),
        new(1, 4096, 4096, 256, Rank: 8, Projected: true), new(16, 1024, 2048, 256, Rank: 24, Projected: true),
        new(200, 1024, 2048, 256, Rank: 8, Projected: true), new(300, 4096, 1024, 256, Rank: 16, Bias: true, Projected: true),
        new(70, 512, 1024, 256, Rank: 8, Bias: true), new(300, 640, 1536, 256, Rank: 8, HalfOutput: true),
        new(70, 512, 1024, 128, Rank: 64, Bias: true, Projected: true), new(3, 33, 75, 25, Rank: 8, Bias: true, Projected: true),
        new(1, 2048, 1024, 256, Operator: OperatorNames.MatMulW8A16), new(33, 700, 768, 256, Rank: 8, Operator: OperatorNames.MatMulW8A16),
        new(5, 33, 75, 25, Bias: true, Operator: OperatorNames.MatMulW8A16, HalfOutput: true),
        new(4, 512, 1024, 256, Rank: 8, Operator: OperatorNames.MatMulW8A8, Projected: true),
        new(40, 512, 1024, 256, Rank: 8, Operator: OperatorNames.MatMulW8A8),
        new(17, 512, 1024, 256, Rank: 8, Operator: OperatorNames.MatMulW4A16),
    ];

    private sealed record Shape(int Tokens, int Rows, int Columns, int Group, int Rank = 0, bool Bias = false, bool HalfOutput = false,
        string Operator = OperatorNames.MatMulW4A8, bool Projected = false);

    private readonly OperatorDomain _processor = new(LoadedOnnxRuntime.Find().Api, OperatorSets.Cpu());
    private readonly OperatorDomain _gpu =
        new(LoadedOnnxRuntime.Find().Api, [.. CudaProvider.Operators(new DeviceSession(0, null), provider: null)]);

    /// <summary>How far the GPU's output is from the processor's, of its norm.</summary>
    public double Difference(byte[] model, (string, OrtElementType, long[], byte[])[] inputs, (string, OrtElementType, long[]) output) =>
        Checks.RelativeError(
            Values(OnDevice(model, _gpu, inputs, [output])[0], false), Values(OnProcessor(model, _processor, inputs, [output])[0], false));

    public void Run()
    {
        OperatorDomain processor = _processor, gpu = _gpu;
        foreach ((int tokens, int columns) in ((int, int)[])[(1, 4096), (37, 1312), (5, 75), (3, 1), (2, 40000)])
        {
            foreach (ElementKind kind in (ElementKind[])[ElementKind.Float32, ElementKind.Float16])
            {
                Quantization(tokens, columns, kind, 0, processor, gpu);
            }
        }

        foreach ((int tokens, int columns, int block) in ((int, int, int)[])[(1, 4096, 64), (37, 1408, 128), (5, 36, 4), (3, 40960, 32)])
        {
            foreach (ElementKind kind in (ElementKind[])[ElementKind.Float32, ElementKind.Float16])
            {
                Quantization(tokens, columns, kind, block, processor, gpu);
            }
        }

        foreach ((int tokens, int columns, int block) in ((int, int, int)[])[(1, 4096, 0), (33, 1408, 128), (7, 75, 0), (2, 40000, 32)])
        {
            foreach (ElementKind kind in (ElementKind[])[ElementKind.Float32, ElementKind.Float16])
            {
                Norm(tokens, columns, kind, block, isCentered: false, processor, gpu);
                Norm(tokens, columns, kind, block, isCentered: true, processor, gpu);
                Gate(tokens, columns, kind, block, isPacked: false, processor, gpu);
                Gate(tokens, columns, kind, block, isPacked: true, processor, gpu);
                foreach (TokenActivation activation in Enum.GetValues<TokenActivation>())
                {
                    Activation(tokens, columns, kind, block, activation, isGated: columns % 16 == 0, processor, gpu);
                }
            }
        }

        foreach (Shape shape in Shapes)
        {
            Product(shape, processor, gpu);
        }

        // What other GPUs run.
        var other = new OperatorDomain(
            LoadedOnnxRuntime.Find().Api, [.. CudaProvider.Operators(new DeviceSession(OpenAsOther), provider: null)]);
        foreach (Shape shape in Shapes)
        {
            Product(shape, processor, other, ", kernels of other GPUs");
        }

        foreach (string op in
            (string[])[OperatorNames.QuantizeTokens, OperatorNames.NormQuantizeTokens, OperatorNames.GateQuantizeTokens])
        {
            foreach ((int tokens, int columns, int rank) in
                ((int, int, int)[])[(1, 4096, 8), (16, 11008, 24), (32, 4096, 64), (70, 1312, 16), (3, 75, 8)])
            {
                Projection(op, tokens, columns, rank, gpu);
            }
        }
    }

    private static (CudaContext Context, HopperKernels Kernels) OpenAsOther()
    {
        var context = new CudaContext();
        var compiler = new KernelCompiler(new KernelCache(null), new KernelTarget("sm_90"));
        return (context, new HopperKernels(context, compiler.Compile, allowsFusedProduct: false));
    }

    /// <summary>A x against float64, of the codes that came with it.</summary>
    private void Projection(string op, int tokens, int columns, int rank, OperatorDomain gpu)
    {
        float[] factor = Array.ConvertAll(Problem.RandomTokens(rank, columns, seed: rank), value => (float)(Half)value);
        (string[] inputs, string[] outputs) = op switch
        {
            OperatorNames.QuantizeTokens => ((string[])["x", "a"], (string[])["q", "s", "z"]),
            OperatorNames.GateQuantizeTokens => (["x", "x", "a"], ["q", "s", "z"]),
            _ => (["x", "gain", "", "", "a"], ["q", "s", "", "z"]),
        };
        bool isNorm = op == OperatorNames.NormQuantizeTokens;
        byte[] model = Onnx.Model(
            [Onnx.Node("zqfp", op, inputs, outputs)],
            [
                Onnx.Value("x", Onnx.Float16, "m", columns),
                .. isNorm ? [Onnx.Value("gain", Onnx.Float16, columns)] : (byte[][])[],
            ],
            [Onnx.Value("q", Onnx.Float8E4M3FN, "m", columns), Onnx.Value("s", Onnx.Float, "m", 1), Onnx.Value("z", Onnx.Float, "m", rank)],
            [Onnx.Tensor("a", Onnx.Float, [rank, columns], Bytes(factor))]);
        (string, OrtElementType, long[], byte[])[] given =
        [
            ("x", OrtElementType.Float16, [tokens, columns], Typed(Problem.RandomTokens(tokens, columns, seed: 5), ElementKind.Float16)),
            .. isNorm
                ? [("gain", OrtElementType.Float16, [columns], Typed([.. Enumerable.Repeat(1.5f, columns)], ElementKind.Float16))]
                : ((string, OrtElementType, long[], byte[])[])[],
        ];
        byte[][] made = OnDevice(model, gpu, given,
        [
            ("q", OrtElementType.Float8E4M3FN, [tokens, columns]), ("s", OrtElementType.Float, [tokens, 1]),
            ("z", OrtElementType.Float, [tokens, rank]),
        ]);
        double[] expected = new double[tokens * rank];
        Parallel.For(0, expected.Length, i =>
        {
            for (int k = 0; k < columns; k++)
            {
                expected[i] += factor[(i % rank * columns) + k] * E4M3.ToDouble(made[0][(i / rank * columns) + k]);
            }
        });
        double error = Checks.RelativeError(Values(made[2], false), expected);
        report($"operator {op} {tokens}x{columns} with A of {rank}", error <= 1e-5, $"{error:E1} from float64");
    }

    private void Quantization(int tokens, int columns, ElementKind kind, int block, OperatorDomain processor, OperatorDomain gpu)
    {
        int type = kind == ElementKind.Float32 ? Onnx.Float : Onnx.Float16;
        byte[] model = Onnx.Model(
            [Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x"], ["q", "s"], Onnx.Attribute("rotation", block))],
            [Onnx.Value("x", type, "m", columns)],
            [Onnx.Value("q", Onnx.Float8E4M3FN, "m", columns), Onnx.Value("s", Onnx.Float, "m", 1)]);
        float[] x = Problem.RandomTokens(tokens, columns, seed: columns);
        byte[] input = kind == ElementKind.Float32 ? Bytes(x) : Bytes(Array.ConvertAll(x, value => (Half)value));
        (string, OrtElementType, long[], byte[])[] inputs = [("x", (OrtElementType)type, [tokens, columns], input)];
        (string, OrtElementType, long[])[] outputs =
        [
            ("q", OrtElementType.Float8E4M3FN, [tokens, columns]), ("s", OrtElementType.Float, [tokens, 1])
        ];
        byte[][] expected = OnProcessor(model, processor, inputs, outputs);
        byte[][] actual = OnDevice(model, gpu, inputs, outputs);
        int wrong = expected[0].Zip(actual[0]).Count(pair => pair.First != pair.Second)
            + expected[1].Zip(actual[1]).Count(pair => pair.First != pair.Second);
        string name = $"operator QuantizeTokens {tokens}x{columns} {kind}{(block == 0 ? "" : $" rotated by {block}")}";
        report(name, wrong == 0, $"{wrong} bytes differ from the processor's");
    }

    private void Norm(
        int tokens, int columns, ElementKind kind, int block, bool isCentered, OperatorDomain processor, OperatorDomain gpu)
    {
        int type = kind == ElementKind.Float32 ? Onnx.Float : Onnx.Float16;
        string[] names = isCentered ? ["x", "gain", "skip", "shift"] : ["x", "gain", "skip"];
        byte[] model = Onnx.Model(
            [Onnx.Node("zqfp", OperatorNames.NormQuantizeTokens, names, ["q", "s", "sum"], Onnx.Attribute("rotation", block),
                Onnx.Attribute("centered", isCentered ? 1 : 0))],
            [.. names.Select((name, i) => i % 2 == 0 ? Onnx.Value(name, type, "m", columns) : Onnx.Value(name, type, columns))],
            [Onnx.Value("q", Onnx.Float8E4M3FN, "m", columns), Onnx.Value("s", Onnx.Float, "m", 1), Onnx.Value("sum", type, "m", columns)]);
        (string, OrtElementType, long[], byte[])[] inputs =
        [
            .. names.Select((name, i) => (name, (OrtElementType)type, i % 2 == 0 ? (long[])[tokens, columns] : [columns],
                Typed(Problem.RandomTokens(i % 2 == 0 ? tokens : 1, columns, seed: columns + i), kind)))
        ];
        Fused($"NormQuantizeTokens {(isCentered ? "layer norm" : "RMS norm")}", model, inputs, tokens, columns, kind, block, hasSum: true,
            processor, gpu);
    }

    private void Gate(int tokens, int columns, ElementKind kind, int block, bool isPacked, OperatorDomain processor, OperatorDomain gpu)
    {
        int type = kind == ElementKind.Float32 ? Onnx.Float : Onnx.Float16;
        string[] names = isPacked ? ["gate"] : ["gate", "up"];
        int width = isPacked ? 2 * columns : columns;
        byte[] model = Onnx.Model(
            [Onnx.Node("zqfp", OperatorNames.GateQuantizeTokens, names, ["q", "s"], Onnx.Attribute("rotation", block))],
            [.. names.Select(name => Onnx.Value(name, type, "m", width))],
            [Onnx.Value("q", Onnx.Float8E4M3FN, "m", columns), Onnx.Value("s", Onnx.Float, "m", 1)]);
        (string, OrtElementType, long[], byte[])[] inputs =
        [
            .. names.Select((name, i) => (name, (OrtElementType)type, (long[])[tokens, width],
                Typed(Problem.RandomTokens(tokens, width, seed: columns + i), kind)))
        ];
        Fused($"GateQuantizeTokens{(isPacked ? " packed" : "")}", model, inputs, tokens, columns, kind, block, hasSum: false,
            processor, gpu);
    }

    private void Activation(int tokens, int columns, ElementKind kind, int block, TokenActivation activation, bool isGated,
        OperatorDomain processor, OperatorDomain gpu)
    {
        int type = kind == ElementKind.Float32 ? Onnx.Float : Onnx.Float16;
        string[] names = isGated ? ["x", "up"] : ["x"];
        byte[] node = Onnx.Node("zqfp", OperatorNames.ActivateQuantizeTokens, names, ["q", "s"],
            Onnx.Attribute("rotation", block), Onnx.Attribute("activation", (int)activation));
        byte[] model = Onnx.Model(
            [node], [.. names.Select(name => Onnx.Value(name, type, "m", columns))],
            [Onnx.Value("q", Onnx.Float8E4M3FN, "m", columns), Onnx.Value("s", Onnx.Float, "m", 1)]);
        (string, OrtElementType, long[], byte[])[] inputs =
        [
            .. names.Select((name, i) => (name, (OrtElementType)type, (long[])[tokens, columns],
                Typed(Problem.RandomTokens(tokens, columns, seed: columns + i), kind)))
        ];
        Fused($"{activation}{(isGated ? " gated" : "")}", model, inputs, tokens, columns, kind, block, hasSum: false, processor, gpu);
    }

    /// <summary>
    /// Sums of norms are added in another order than the processor's, and the exponential is another: a code may be the next one, rarely.
    /// </summary>
    private void Fused(string name, byte[] model, (string, OrtElementType, long[], byte[])[] inputs, int tokens, int columns,
        ElementKind kind, int block, bool hasSum, OperatorDomain processor, OperatorDomain gpu)
    {
        (string, OrtElementType, long[])[] outputs =
        [
            ("q", OrtElementType.Float8E4M3FN, [tokens, columns]), ("s", OrtElementType.Float, [tokens, 1]),
            .. hasSum ? [("sum", inputs[0].Item2, [tokens, columns])] : ((string, OrtElementType, long[])[])[],
        ];
        byte[][] expected = OnProcessor(model, processor, inputs, outputs);
        byte[][] actual = OnDevice(model, gpu, inputs, outputs);
        int differ = expected[0].Zip(actual[0]).Count(pair => pair.First != pair.Second);
        int far = expected[0].Zip(actual[0]).Count(pair => Math.Abs(pair.First - pair.Second) > 1);
        double scales = Checks.RelativeError(Values(actual[1], false), Values(expected[1], false));
        bool sameSum = !hasSum || expected[2].AsSpan().SequenceEqual(actual[2]);
        report($"operator {name} {tokens}x{columns} {kind}{(block == 0 ? "" : $" rotated by {block}")}",
            differ <= Math.Max(2, tokens * columns / 500) && far == 0 && scales <= 1e-3 && sameSum,
            $"{differ} of {tokens * columns} codes differ, {far} by more than one; scales {scales:E1}; same sum: {sameSum}");
    }

    private static byte[] Typed(float[] values, ElementKind kind) =>
        kind == ElementKind.Float32 ? Bytes(values) : Bytes(Array.ConvertAll(values, value => (Half)value));

    private void Product(Shape shape, OperatorDomain processor, OperatorDomain gpu, string where = "")
    {
        // Groups that divide no byte are the operators' contract, not the packed layout's: content comes from the plain definition.
        PlainLayer layer = new(shape.Rows, shape.Columns, shape.Group, shape.Rank, shape.Bias, shape.Operator);
        byte[] model = layer.Model(shape.HalfOutput, shape.Projected);
        (byte[] codes, float[] scales) = PlainLayer.Tokens(shape.Tokens, shape.Columns);
        byte[] halves = Typed(Problem.RandomTokens(shape.Tokens, shape.Columns, seed: 3), ElementKind.Float16);
        (string, OrtElementType, long[], byte[])[] inputs =
        [
            .. layer.ReadsCodes
                ? ((string, OrtElementType, long[], byte[])[])
                [
                    ("x", OrtElementType.Float8E4M3FN, [shape.Tokens, shape.Columns], codes),
                    ("sx", OrtElementType.Float, [shape.Tokens, 1], Bytes(scales)),
                ]
                : [("x", OrtElementType.Float16, [shape.Tokens, shape.Columns], halves)],
            .. shape.Projected
                ? [("z", OrtElementType.Float, [shape.Tokens, shape.Rank], Bytes(Problem.RandomTokens(shape.Tokens, shape.Rank, seed: 4)))]
                : ((string, OrtElementType, long[], byte[])[])[],
        ];
        OrtElementType type = shape.HalfOutput ? OrtElementType.Float16 : OrtElementType.Float;
        (string, OrtElementType, long[])[] outputs = [("y", type, [shape.Tokens, shape.Rows])];
        double[] expected = Values(OnProcessor(model, processor, inputs, outputs)[0], shape.HalfOutput);
        byte[] first = OnDevice(model, gpu, inputs, outputs)[0];
        bool same = first.AsSpan().SequenceEqual(OnDevice(model, gpu, inputs, outputs)[0]);
        double error = Checks.RelativeError(Values(first, shape.HalfOutput), expected);
        report($"operator {shape}{where}", error <= (shape.HalfOutput ? 6e-4 : 3e-4) && same,
            $"{error:E2} from the processor's, same bits: {same}");
    }

    private static byte[][] OnProcessor(byte[] model, OperatorDomain domain,
        (string Name, OrtElementType Type, long[] Shape, byte[] Data)[] inputs, (string Name, OrtElementType Type, long[] Shape)[] outputs)
    {
        using var session = new RawSession(model, domain);
        byte[][] given = [.. inputs.Select(input => Pinned(input.Data))];
        byte[][] made = [.. outputs.Select(output => Pinned(new byte[OrtElementTypes.ByteCount(output.Type, output.Shape)]))];
        session.Run(
            [.. inputs.Select(
                (input, i) => new RawTensor(input.Name, input.Type, input.Shape, Marshal.UnsafeAddrOfPinnedArrayElement(given[i], 0)))],
            [.. outputs.Select(
                (output, i) => new RawTensor(output.Name, output.Type, output.Shape, Marshal.UnsafeAddrOfPinnedArrayElement(made[i], 0)))]);
        return made;
    }

    private static byte[] Pinned(byte[] content)
    {
        byte[] pinned = GC.AllocateUninitializedArray<byte>(Math.Max(1, content.Length), pinned: true);
        content.CopyTo(pinned, 0);
        return pinned;
    }

    private byte[][] OnDevice(byte[] model, OperatorDomain domain, (string Name, OrtElementType Type, long[] Shape, byte[] Data)[] inputs,
        (string Name, OrtElementType Type, long[] Shape)[] outputs)
    {
        using var session = new RawSession(model, domain);
        DeviceMemory[] given = [.. inputs.Select(input => DeviceMemory.From<byte>(bench.Context, input.Data))];
        DeviceMemory[] made =
        [
            .. outputs.Select(output => new DeviceMemory(bench.Context, Math.Max(1, OrtElementTypes.ByteCount(output.Type, output.Shape))))
        ];
        session.Run(
            [.. inputs.Select((input, i) => new RawTensor(input.Name, input.Type, input.Shape, (nint)given[i].Address))],
            [.. outputs.Select((output, i) => new RawTensor(output.Name, output.Type, output.Shape, (nint)made[i].Address))]);
        byte[][] bytes = new byte[outputs.Length][];
        for (int i = 0; i < outputs.Length; i++)
        {
            bytes[i] = new byte[made[i].Bytes];
            made[i].Download<byte>(bytes[i]); // The default stream's, which the operators got.
        }

        foreach (DeviceMemory one in given.Concat(made))
        {
            one.Dispose();
        }

        return bytes;
    }

    private static double[] Values(byte[] bytes, bool half) => half
        ? [.. MemoryMarshal.Cast<byte, Half>(bytes).ToArray().Select(value => (double)value)]
        : [.. MemoryMarshal.Cast<byte, float>(bytes).ToArray().Select(value => (double)value)];

    internal static byte[] Bytes<T>(T[] values)
        where T : unmanaged => MemoryMarshal.AsBytes<T>(values).ToArray();
}
