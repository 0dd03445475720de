using System.Diagnostics;
using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>How fast this machine does what quantizing consists of.</summary>
/// <param name="GramOperations">Operations a second when the inputs' products are summed.</param>
/// <param name="QuantizeOperations">Operations a second when a layer is quantized with the options given, counted by <see cref="WorkOf"/>.</param>
internal sealed record MachineRates(double GramOperations, double QuantizeOperations)
{
    /// <summary>
    /// ONNX Runtime's products of a small model, attention and element-wise operators included, against the summing of products:
    /// 0.15 to 0.16 on the sample and on a model of 15 million weights, two cores. Large models come nearer to 1.
    /// </summary>
    public const double ForwardShare = 0.17;

    /// <summary>Bytes a second that are written, hashed and read: a plain solid state disk.</summary>
    public const double DiskBytes = 200e6;

    /// <summary>
    /// Seconds that the first layers take longer, because their code is not optimized yet: what the layers of the sample, of stories15m and of
    /// opt-tiny took beyond the rate of the rest, two cores.
    /// </summary>
    public const double WarmUpSeconds = 3;

    private const int WarmUpSize = 128;
    private const int Rows = 512;
    private const int Columns = 512;
    private const int Tokens = 1024;

    private static readonly TimeSpan Budget = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(1500);

    /// <summary>Measures the rates on a layer of 512 x 512, in about three seconds: small layers go first until the code is optimized.</summary>
    public static MachineRates Measure(QuantizationOptions options, int threads)
    {
        var random = new Random(1);
        float[] weights = Numbers(random, Rows * Columns);
        float[] inputs = Numbers(random, Tokens * Columns);
        using GramAccumulator gram = new(Columns, threads);
        double gramSeconds = Fastest(() => gram.Add(inputs));
        using Hessian hessian = gram.ToHessian();
        QuantizationOptions used = options with { MaxThreads = threads };
        WarmUpWith(used, weights, inputs);
        double quantizeSeconds = Fastest(() => LayerQuantizer.Quantize(weights, Rows, Columns, hessian, used));
        return new MachineRates(GramWork(Tokens, Columns) / gramSeconds, WorkOf(Rows, Columns) / quantizeSeconds);
    }

    /// <summary>Operations of summing x x^T over <paramref name="tokens"/>: half the matrix.</summary>
    public static double GramWork(long tokens, int columns) => (double)tokens * columns * (columns + 1);

    /// <summary>GPTQ's operations, to which scale search, refinement and the low-rank fit stand in about the same proportion for every layer.</summary>
    public static double WorkOf(int rows, int columns) => ((double)columns * columns * columns / 3) + ((double)rows * columns * columns);

    private static void WarmUpWith(QuantizationOptions options, float[] weights, float[] inputs)
    {
        using GramAccumulator gram = new(WarmUpSize, options.MaxThreads);
        gram.Add(inputs.AsSpan(0, Tokens * WarmUpSize));
        using Hessian hessian = gram.ToHessian();
        for (long begin = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begin) < WarmUp;)
        {
            LayerQuantizer.Quantize(weights.AsMemory(0, WarmUpSize * WarmUpSize), WarmUpSize, WarmUpSize, hessian, options);
        }
    }

    /// <summary>Seconds of the fastest round within the budget, two at least: the first ones run code that is not yet optimized.</summary>
    private static double Fastest(Action work)
    {
        long begin = Stopwatch.GetTimestamp();
        double fastest = double.MaxValue;
        for (int round = 0; round < 2 || Stopwatch.GetElapsedTime(begin) < Budget; round++)
        {
            long start = Stopwatch.GetTimestamp();
            work();
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return Math.Max(1e-6, fastest);
    }

    private static float[] Numbers(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
}
