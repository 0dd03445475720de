using System.Diagnostics;
using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>How fast this machine does what quantizing consists of.</summary>
/// <param name="GramOperations">Operations a second when the inputs' products are summed.</param>
/// <param name="QuantizeOperations">
/// Operations a second when a layer is quantized with the options given, counted by <see cref="WorkOf"/>.
/// </param>
/// <param name="Waiting">
/// How many times longer that took than its processor time explains: about 1 on a machine that does nothing else.
/// </param>
internal sealed record MachineRates(double GramOperations, double QuantizeOperations, double Waiting)
{
    /// <summary>
    /// ONNX Runtime's products of a small model, attention and element-wise operators included, against the summing of products, with
    /// several batches side by side: 0.37 on the sample, 0.5 on a model of 15 million weights, 0.8 on one of 135 million; two cores.
    /// </summary>
    public const double ForwardShare = 0.4;

    /// <summary>Bytes a second that are written, hashed and read: a plain solid state disk.</summary>
    public const double DiskBytes = 200e6;

    /// <summary>
    /// Seconds that the first layers take longer, because their code is not optimized yet: what the layers of the sample, of stories15m and
    /// of opt-tiny took beyond the rate of the rest, two cores.
    /// </summary>
    public const double WarmUpSeconds = 3;

    /// <summary>
    /// Share of the threads' time that work is in them, at least, where nothing else runs: 0.82 to 0.97 in rounds on two cores.
    /// </summary>
    private const double Utilization = 0.8;

    private const int WarmUpSize = 128;
    private const int Rows = 512;
    private const int Columns = 512;
    private const int Tokens = 1024;

    private static readonly TimeSpan Budget = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(1500);

    private static readonly TimeSpan LongestWarmUp = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Measures the rates on a layer of 512 x 512, in about three seconds: small layers go first until the code is optimized.
    /// </summary>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static MachineRates Measure(QuantizationOptions options, int threads, CancellationToken cancellation)
    {
        var random = new Random(1);
        float[] weights = Numbers(random, Rows * Columns);
        float[] inputs = Numbers(random, Tokens * Columns);
        using GramAccumulator gram = new(Columns, threads);
        int used = threads == 0 ? Environment.ProcessorCount : threads;
        (double gramSeconds, _) = Time(() => gram.Add(inputs), used);
        using Hessian hessian = gram.ToHessian();
        QuantizationOptions own = options with { MaxThreads = threads };
        WarmUpWith(own, weights, inputs, cancellation);
        (double quantizeSeconds, double waiting) = Time(
            () => LayerQuantizer.Quantize(weights, Rows, Columns, hessian, own, cancellation), used);
        return new MachineRates(GramWork(Tokens, Columns) / gramSeconds, WorkOf(Rows, Columns) / quantizeSeconds, waiting);
    }

    /// <summary>Operations of summing x x^T over <paramref name="tokens"/>: half the matrix.</summary>
    public static double GramWork(long tokens, int columns) => (double)tokens * columns * (columns + 1);

    /// <summary>
    /// GPTQ's operations, to which scale search, refinement and the low-rank fit stand in about the same proportion for every layer.
    /// </summary>
    public static double WorkOf(int rows, int columns) => ((double)columns * columns * columns / 3) + ((double)rows * columns * columns);

    private static void WarmUpWith(QuantizationOptions options, float[] weights, float[] inputs, CancellationToken cancellation)
    {
        using GramAccumulator gram = new(WarmUpSize, options.MaxThreads);
        gram.Add(inputs.AsSpan(0, Tokens * WarmUpSize));
        using Hessian hessian = gram.ToHessian();
        long begin = Stopwatch.GetTimestamp();
        TimeSpan before = Environment.CpuUsage.TotalTime;
        while (Stopwatch.GetElapsedTime(begin) < WarmUp
            || (Environment.CpuUsage.TotalTime - before < WarmUp && Stopwatch.GetElapsedTime(begin) < LongestWarmUp))
        {
            LayerQuantizer.Quantize(weights.AsMemory(0, WarmUpSize * WarmUpSize), WarmUpSize, WarmUpSize, hessian, options, cancellation);
        }
    }

    /// <summary>
    /// Seconds of a round where nothing else runs: of the fastest one, or what its processor time comes to on <paramref name="threads"/>
    /// threads, where that is less because other processes took the processors. And how many times longer the fastest round took.
    /// </summary>
    private static (double Seconds, double Waiting) Time(Action work, int threads)
    {
        // The first round runs code that is not yet optimized.
        work();
        double fastest = double.MaxValue;
        int rounds = 0;
        TimeSpan before = Environment.CpuUsage.TotalTime;
        for (long begin = Stopwatch.GetTimestamp(); rounds == 0 || Stopwatch.GetElapsedTime(begin) < Budget; rounds++)
        {
            long start = Stopwatch.GetTimestamp();
            work();
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        // Clocks of processor time may be coarse, or count nothing of a short round.
        double processor = (Environment.CpuUsage.TotalTime - before).TotalSeconds / rounds / threads / Utilization;
        double seconds = Math.Max(1e-6, processor > 0 ? Math.Min(fastest, processor) : fastest);
        return (seconds, fastest / seconds);
    }

    private static float[] Numbers(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
}
