using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

/// <summary>Tests that measure the memory of the process: nothing else may run beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneDefinition
{
    public const string Name = "Alone";
}

/// <summary>A test that reads what Linux says of the process.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class LinuxFactAttribute : FactAttribute
{
    public LinuxFactAttribute() => Skip = OperatingSystem.IsLinux() ? null : "Needs /proc.";
}

[Collection(AloneDefinition.Name)]
public sealed class MemoryTests : IDisposable
{
    private const int Layers = 3, N = 2048, K = 4096, GroupSize = 256;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-memory-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [LinuxFact]
    public void A_session_on_quantized_weights_takes_less_than_035_of_the_float_weights_memory()
    {
        string floatModel = Write("float.onnx", FloatLayer), quantizedModel = Write("quantized.onnx", QuantizedLayer);

        // A small model first: it brings what all sessions share, such as the library's own pages.
        Product small = new Product { Operator = OperatorNames.MatMulW4A8, M = 1, N = 64, K = 64, GroupSize = 64 }.Fill(1);
        using (var session = new InferenceSession(small.Model(), new SessionOptions().AddZqfpOperators()))
        {
            small.Run(session);
        }
        (long quantizedPrivate, long quantizedAll) = Growth(quantizedModel);
        (long floatPrivate, long floatAll) = Growth(floatModel);

        const long FloatBytes = (long)Layers * N * K * sizeof(float);
        Assert.InRange(floatPrivate, 0.9 * FloatBytes, 2.5 * FloatBytes);
        Assert.True(quantizedPrivate < 0.35 * floatPrivate, $"Private memory: {quantizedPrivate} against {floatPrivate} bytes.");
        Assert.True(quantizedAll < 0.35 * floatAll, $"Memory with mapped files: {quantizedAll} against {floatAll} bytes.");
    }

    [Fact]
    public void Eight_threads_of_a_thousand_runs_agree_under_garbage_collection_and_leave_nothing_behind()
    {
        Product product = new Product { Operator = OperatorNames.MatMulW4A8, M = 3, N = 128, K = 256, GroupSize = 128, Rank = 4 }.Fill(4);
        using var session = new InferenceSession(product.Model(), new SessionOptions().AddZqfpOperators());
        float[] expected = product.Run(session);
        void RunInEightThreads(int runs) => Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 8 }, thread =>
        {
            for (int run = 0; run < runs; run++)
            {
                float[] y = product.Run(session);
                Assert.True(expected.AsSpan().SequenceEqual(y), $"Thread {thread}, run {run}.");
                if ((run + thread) % 16 == 0)
                {
                    GC.Collect();
                }
            }
        });
        RunInEightThreads(50);
        long warm = Environment.WorkingSet;
        RunInEightThreads(1000);
        Assert.InRange(Environment.WorkingSet - warm, long.MinValue, 16L << 20);
    }

    /// <summary>
    /// By how much a session that has run once makes the process larger: its own pages, and with them those of mapped files.
    /// </summary>
    private static (long Private, long All) Growth(string model)
    {
        using var x = OrtValue.CreateTensorValueFromMemory<float>(new float[K], [1, K]);
        GC.Collect();
        (long Private, long Mapped) before = Resident();
        using var session = new InferenceSession(model, new SessionOptions { IntraOpNumThreads = 1 }.AddZqfpOperators());
        foreach (OrtValue output in session.Run(["x"], [x], [.. Enumerable.Range(0, Layers).Select(i => $"y{i}")]))
        {
            output.Dispose();
        }
        (long Private, long Mapped) after = Resident();
        return (after.Private - before.Private, after.Private + after.Mapped - before.Private - before.Mapped);
    }

    private static (long Private, long Mapped) Resident()
    {
        long Bytes(string name) => 1024 * long.Parse(
            File.ReadLines("/proc/self/status")
                .Single(line => line.StartsWith(name, StringComparison.Ordinal))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
            CultureInfo.InvariantCulture);
        return (Bytes("RssAnon:"), Bytes("RssFile:"));
    }

    private string Write(string name, Func<int, (byte[][] Nodes, byte[][] Constants)> layer)
    {
        var layers = Enumerable.Range(0, Layers).Select(layer).ToArray();
        File.WriteAllBytes(Path.Combine(_folder, name), Onnx.Model(
            [.. layers.SelectMany(part => part.Nodes)],
            [Onnx.Value("x", Onnx.Float, "m", K)],
            [.. Enumerable.Range(0, Layers).Select(i => Onnx.Value($"y{i}", Onnx.Float, "m", N))],
            [.. layers.SelectMany(part => part.Constants)]));
        return Path.Combine(_folder, name);
    }

    private (byte[][] Nodes, byte[][] Constants) FloatLayer(int i)
    {
        byte[] weights = new byte[(long)N * K * sizeof(float)];
        MemoryMarshal.Cast<byte, float>(weights.AsSpan()).Fill(0.5f + i);
        return ([Onnx.Node("", "MatMul", ["x", $"w{i}"], [$"y{i}"])], [External($"w{i}", Onnx.Float, [K, N], $"float{i}", weights)]);
    }

    private (byte[][] Nodes, byte[][] Constants) QuantizedLayer(int i)
    {
        byte[] codes = new byte[N * K / 2];
        new Random(i).NextBytes(codes);
        return (
            [
                Onnx.Node("zqfp", OperatorNames.QuantizeTokens, ["x"], [$"q{i}", $"t{i}"]),
                Onnx.Node("zqfp", OperatorNames.MatMulW4A8, [$"q{i}", $"t{i}", $"w{i}", $"e{i}", $"s{i}"], [$"y{i}"],
                    Onnx.Attribute("group_size", GroupSize)),
            ],
            [
                External($"w{i}", Onnx.Float4E2M1, [N, K], $"quantized{i}", codes),
                Onnx.Tensor($"e{i}", Onnx.UInt8, [N, K / GroupSize], new byte[N * K / GroupSize]),
                Onnx.Tensor($"s{i}", Onnx.Float, [N], new byte[N * sizeof(float)]),
            ]);
    }

    private byte[] External(string name, int type, long[] shape, string file, byte[] content)
    {
        File.WriteAllBytes(Path.Combine(_folder, file), content);
        return Onnx.ExternalTensor(name, type, shape, file, content.Length);
    }
}
