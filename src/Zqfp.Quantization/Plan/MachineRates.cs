using System.Diagnostics;
using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>How fast this machine does what quantizing consists of.</summary>
/// <param name="GramOperations">Operations a second when the inputs' products are summed.</param>
/// <param name="QuantizeOperations">
/// Operations a second when a layer is quantized with the options given, counted by <see cref="WorkOf"/>.
/// </param>
/// <param name="WeightSeconds">Seconds that quantizing takes beside, for each weight.</param>
/// <param name="Waiting">
/// How many times longer that took than its processor time explains: about 1 on a machine that does nothing else.
/// </param>
internal sealed record MachineRates(double GramOperations, double QuantizeOperations, double WeightSeconds, double Waiting)
{
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

    /// <summary>
    /// Columns at which a product of the model runs half as fast as products are summed, attention and element-wise operators included:
    /// from processor time of calibrating models of 256 to 8192 columns, two cores.
    /// </summary>
    public const double HalfSpeed = 600;

    private const int WarmUpSize = 128;
    private const int Rows = 512;
    private const int Columns = 512;
    private const int Tokens = 1024;

    /// <summary>Columns of the wide layer: what grows with their square and cube is told from what grows with the weights.</summary>
    private const int Wide = 2048;

    private const int LeastSamples = 2;

    private static readonly TimeSpan Budget = TimeSpan.FromMilliseconds(300);

    // What a clock of processor time may be off by must be little of it.
    private static readonly TimeSpan Sample = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(1500);

    private static readonly TimeSpan LongestWarmUp = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Measures the rates on layers of 512 x 512 and 512 x 2048, in about four seconds: small layers go first until the code is optimized.
    /// </summary>
    /// <exception cref="OperationCanceledException">Cancellation was asked for.</exception>
    public static MachineRates Measure(QuantizationOptions options, int threads, CancellationToken cancellation)
    {
        var random = new Random(1);
        float[] weights = Numbers(random, Rows * Wide);
        float[] inputs = Numbers(random, Tokens * Wide);
        int used = threads == 0 ? Environment.ProcessorCount : threads;
        QuantizationOptions own = options with { MaxThreads = threads };
        using GramAccumulator gram = new(Columns, threads);
        (double gramSeconds, _) = Time(() => gram.Add(inputs.AsSpan(0, Tokens * Columns)), used);
        WarmUpWith(own, weights, inputs, cancellation);
        (double square, double waiting) = Layer(Columns);
        (double wide, _) = Layer(Wide);
        return Of(GramWork(Tokens, Columns) / gramSeconds, square, wide, waiting);

        (double Seconds, double Waiting) Layer(int columns)
        {
            using GramAccumulator products = new(columns, threads);
            products.Add(inputs.AsSpan(0, Tokens * columns));
            using Hessian hessian = products.ToHessian();
            return Time(
                () => LayerQuantizer.Quantize(weights.AsMemory(0, Rows * columns), Rows, columns, hessian, own, cancellation), used);
        }
    }

    /// <summary>The rates of which two layers took the seconds they took.</summary>
    /// <param name="gram">Operations a second when products are summed.</param>
    /// <param name="square">Seconds of 512 x 512.</param>
    /// <param name="wide">Seconds of 512 x 2048.</param>
    /// <param name="waiting">How many times longer it took.</param>
    public static MachineRates Of(double gram, double square, double wide, double waiting)
    {
        // Where the wide one takes no more than its weights do, as in rounding to nearest, there is nothing that grows faster.
        const double Ratio = (double)Wide / Columns;
        double operation = Math.Max(0, wide - (Ratio * square)) / (WorkOf(Rows, Wide) - (Ratio * WorkOf(Rows, Columns)));
        double weight = Math.Max(0, wide - (operation * WorkOf(Rows, Wide))) / (Rows * Wide);
        return new MachineRates(gram, 1 / operation, weight, waiting);
    }

    /// <summary>Seconds of quantizing a layer.</summary>
    public double LayerSeconds(double rows, double columns) =>
        (WorkOf(rows, columns) / QuantizeOperations) + (rows * columns * WeightSeconds);

    /// <summary>Operations of summing x x^T over <paramref name="tokens"/>: half the matrix.</summary>
    public static double GramWork(double tokens, double columns) => tokens * columns * (columns + 1);

    /// <summary>What running the model's product with a layer takes, in operations of summing.</summary>
    public static double ForwardWork(double tokens, double rows, double columns) => 2 * tokens * rows * (columns + HalfSpeed);

    /// <summary>
    /// GPTQ's operations, to which refinement and the weighted low-rank fit stand in about the same proportion for every wide layer.
    /// </summary>
    public static double WorkOf(double rows, double columns) => (columns * columns * columns / 3) + (rows * columns * columns);

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
    /// Seconds of a round where nothing else runs: of the fastest sample, or what the least processor time of one comes to on
    /// <paramref name="threads"/> threads, where that is less because other processes took the processors. And how many times longer the
    /// fastest took. Other processes lengthen processor time too, by caches and by threads that wait for each other: hence the least.
    /// </summary>
    private static (double Seconds, double Waiting) Time(Action work, int threads)
    {
        // The first round runs code that is not yet optimized.
        work();
        double fastest = double.MaxValue;
        double least = double.MaxValue;
        long begin = Stopwatch.GetTimestamp();
        for (int samples = 0; samples < LeastSamples || Stopwatch.GetElapsedTime(begin) < Budget; samples++)
        {
            int rounds = 0;
            long start = Stopwatch.GetTimestamp();
            TimeSpan before = Environment.CpuUsage.TotalTime;
            for (; rounds == 0 || Stopwatch.GetElapsedTime(start) < Sample; rounds++)
            {
                work();
            }

            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalSeconds / rounds);
            double processor = (Environment.CpuUsage.TotalTime - before).TotalSeconds / rounds / threads / Utilization;
            least = processor > 0 ? Math.Min(least, processor) : least;
        }

        double seconds = Math.Max(1e-6, Math.Min(fastest, least));
        return (seconds, fastest / seconds);
    }

    private static float[] Numbers(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
}
