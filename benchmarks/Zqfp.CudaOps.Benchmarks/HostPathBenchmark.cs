using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Tests;

namespace Zqfp.Benchmarks;

/// <summary>
/// Times the host's part of the GPU operators' calls with a driver that does nothing: what ONNX Runtime and the operators do before a
/// kernel is launched. Sessions of few and of many nodes take turns; their difference is the nodes'.
/// </summary>
internal static class HostPathBenchmark
{
    private const int Columns = 512, Rank = 8, Few = 4, Many = 68, RunsOfRound = 20;

    public static void Measure(double seconds)
    {
        Console.WriteLine("| nodes | us a call, median | best |");
        Console.WriteLine("|:--|--:|--:|");
        foreach ((string name, bool projects) in
            ((string, bool)[])[("QuantizeTokens and MatMulW4A8", false), ("the same with A and Z", true)])
        {
            double[] times = [.. Times(projects, seconds)];
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"| {name} | {Statistics.Median(times):0.00} | {times.Min():0.00} |"));
        }
    }

    private static IEnumerable<double> Times(bool projects, double seconds)
    {
        var domain = new OperatorDomain(
            LoadedOnnxRuntime.Find().Api, [.. CudaProvider.Operators(NullDriver.Session(), provider: null)]);
        using SessionOptions options = new SessionOptions { IntraOpNumThreads = 1 }.Add(domain);
        using var few = new InferenceSession(Chain(Few, projects), options);
        using var many = new InferenceSession(Chain(Many, projects), options);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(new float[Columns], [1, Columns]);
        var run = new RunOptions();
        long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        for (int round = 0; round < 20 || Stopwatch.GetTimestamp() < end; round++)
        {
            double difference = Round(many) - Round(few);
            if (round >= 10)
            {
                yield return difference / (2 * (Many - Few));
            }
        }

        double Round(InferenceSession session)
        {
            double least = double.PositiveInfinity;
            for (int i = 0; i < RunsOfRound; i++)
            {
                long start = Stopwatch.GetTimestamp();
                session.Run(run, ["x0"], [x], ["y"]).Dispose();
                least = Math.Min(least, Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            }

            return least;
        }
    }

    /// <summary>Pairs of a quantization and a product, one behind the other.</summary>
    private static byte[] Chain(int pairs, bool projects)
    {
        byte[][] constants =
        [
            Onnx.Tensor("w", Onnx.Float4E2M1, [Columns, Columns], new byte[Columns * Columns / 2]),
            Onnx.Tensor("e", Onnx.UInt8, [Columns, 2], new byte[Columns * 2]),
            Onnx.Tensor("s", Onnx.Float, [Columns], new byte[Columns * 4]),
            .. projects
                ?
                [
                    Onnx.Tensor("a", Onnx.Float, [Rank, Columns], new byte[Rank * Columns * 4]),
                    Onnx.Tensor("b", Onnx.Float, [Columns, Rank], new byte[Rank * Columns * 4]),
                ]
                : (byte[][])[],
        ];
        IEnumerable<byte[]> Pair(int i) =>
        [
            Onnx.Node("zqfp", OperatorNames.QuantizeTokens, projects ? [$"x{i}", "a"] : [$"x{i}"],
                projects ? [$"q{i}", $"t{i}", $"z{i}"] : [$"q{i}", $"t{i}"]),
            Onnx.Node("zqfp", OperatorNames.MatMulW4A8,
                [$"q{i}", $"t{i}", "w", "e", "s", .. projects ? ["", "", "b", $"z{i}"] : (string[])[]],
                [i == pairs - 1 ? "y" : $"x{i + 1}"],
                Onnx.Attribute(OperatorNames.GroupSize, 256), Onnx.Attribute(OperatorNames.OutputType, Onnx.Float)),
        ];
        return Onnx.Model(
            [.. Enumerable.Range(0, pairs).SelectMany(Pair)], [Onnx.Value("x0", Onnx.Float, "m", Columns)],
            [Onnx.Value("y", Onnx.Float, "m", Columns)], constants);
    }
}
