using System.Diagnostics;
using System.Globalization;
using Zqfp.CudaOps;
using Zqfp.Numerics;

namespace Zqfp.GpuBench;

/// <summary>Quantizing on the device against the processor: every step's values, and a decoder layer's time.</summary>
/// <param name="device">The device.</param>
/// <param name="report">Where lines go.</param>
internal sealed class Quantizing(CudaLayerDevice device, TextWriter report)
{
    private static readonly QuantizationOptions Paper = new();

    private static readonly QuantizationOptions Default = Paper with
    {
        ScaleSearch = ScaleSearch.Pivot,
        ActOrder = true,
        LowRankWeighting = LowRankWeighting.ActivationWeighted,
        RefineSweeps = 2,
        LowRankRefits = 1,
        RefitScales = true,
        SparesBranch = true,
    };

    private static readonly (string Name, int Rows, int Columns, QuantizationOptions Options)[] Small =
    [
        ("the paper's", 300, 520, Paper),
        ("smaller than a tile", 7, 33, Paper),
        ("GPTQ alone", 130, 200, Paper with { Rank = 0 }),
        ("odd columns", 65, 161, Paper with { Rank = 2 }),
        ("act-order, weighted", 300, 290, Paper with { ActOrder = true, LowRankWeighting = LowRankWeighting.ActivationWeighted }),
        ("INT4, groups of 32", 70, 200, Paper with { Format = NumberFormat.Int4, GroupSize = 32, Constraint = ScaleConstraint.None }),
        ("E4M3", 70, 200, Paper with { Format = NumberFormat.E4M3 }),
        ("E3M0", 70, 200, Paper with { Format = NumberFormat.E3M0 }),
        ("INT8", 70, 200, Paper with { Format = NumberFormat.Int8 }),
        ("RTN", 70, 200, Paper with { Method = QuantizationMethod.Rtn }),
        ("the default preset's", 140, 290, Default),
        ("refined, INT8", 70, 200, Paper with { Format = NumberFormat.Int8, RefineSweeps = 1 }),
        ("refits", 300, 290, Paper with { LowRankRefits = 2, SparesBranch = true }),
    ];

    private static readonly (string Name, int Rows, int Columns, QuantizationOptions Options)[] Large =
    [
        ("the paper's", 4096, 4096, Paper),
        ("the paper's", 11008, 4096, Paper),
        ("the paper's", 4096, 11008, Paper),
        ("the default preset's", 4096, 4096, Default),
        ("the default preset's", 4096, 11008, Default),
    ];

    /// <summary>Comparisons that failed.</summary>
    public int Failures { get; private set; }

    /// <summary>Compares every step, at small shapes and unless <paramref name="brief"/> at those of LLaMA-7B.</summary>
    public void Check(bool brief)
    {
        CheckMoments(40, 3, 7);
        CheckMoments(300, 777, 150);
        foreach ((string name, int rows, int columns, QuantizationOptions options) in Small)
        {
            CheckLayer(name, rows, columns, options, tokens: 4 * columns);
        }

        if (brief)
        {
            return;
        }

        CheckMoments(4096, 3000, 512);
        CheckMoments(11008, 1000, 128);
        foreach ((string name, int rows, int columns, QuantizationOptions options) in Large)
        {
            CheckLayer(name, rows, columns, options, tokens: columns + 500);
        }
    }

    /// <summary>Times the seven products of a LLaMA-7B layer and their moments.</summary>
    /// <param name="onProcessor">Whether on the processor too.</param>
    public void Time(bool onProcessor)
    {
        Time("the paper's recipe", Paper, onProcessor);
        Time("the default preset's, without float targets", Default, onProcessor: false);
        Steps();
    }

    /// <summary>Eight layers of LLaMA-7B one behind the other: moments of 96 windows of 512 tokens, then every matrix.</summary>
    public void Sequence()
    {
        const int Layers = 8, Tokens = 96 * 512;
        (int Columns, int[] Rows)[] layer = [(4096, [4096, 4096, 4096]), (4096, [4096]), (4096, [11008, 11008]), (11008, [4096])];
        float[] weights = Random(11008 * 4096, 9, 0.02f);
        Warm(Paper);
        double moments = 0, quantize = 0;
        for (int i = 0; i < Layers; i++)
        {
            foreach ((int columns, int[] shapes) in layer)
            {
                var watch = Stopwatch.StartNew();
                using Hessian hessian = Moments(columns, Tokens, device, out _);
                moments += watch.Elapsed.TotalSeconds;
                quantize += shapes.Sum(rows => Seconds(
                    () => LayerQuantizer.Quantize("layer", weights.AsMemory(0, rows * columns), rows, columns, hessian, Paper, device)));
            }
        }

        Line($"{Layers} layers in sequence, {Tokens} tokens, the paper's recipe, without slices: {moments + quantize:F1} s, "
            + $"of which moments {moments:F1} and quantizing {quantize:F1}; 32 layers {4 * (moments + quantize):F0} s");
    }

    private void Time(string name, QuantizationOptions options, bool onProcessor)
    {
        const int Tokens = 128 * 2048;
        (string Input, int Columns, int[] Rows)[] layer =
        [
            ("q, k, v", 4096, [4096, 4096, 4096]), ("o", 4096, [4096]), ("gate, up", 4096, [11008, 11008]), ("down", 11008, [4096]),
        ];
        Line(name);
        report.WriteLine("| input | N x K | moments of 262144 tokens: device, s | processor, s | quantize: device, s | processor, s |");
        report.WriteLine("|---|---|---|---|---|---|");
        double[] totals = new double[4];
        Warm(options);
        foreach ((string input, int columns, int[] shapes) in layer)
        {
            double[] times = new double[4];
            using Hessian hessian = Moments(columns, 16384, device, out MomentTime onDevice);
            times[0] = onDevice.Of(Tokens);
            if (onProcessor)
            {
                using Hessian other = Moments(columns, 2048, null, out MomentTime onThis);
                times[1] = onThis.Of(Tokens);
            }

            foreach (int rows in shapes)
            {
                float[] weights = Random(rows * columns, 9, 0.02f);
                times[2] += Seconds(() => LayerQuantizer.Quantize("layer", weights, rows, columns, hessian, options, device));
                if (onProcessor)
                {
                    times[3] += Seconds(() => LayerQuantizer.Quantize("layer", weights, rows, columns, hessian, options));
                }
            }

            Row($"{input} | {string.Join(", ", shapes.Select(rows => $"{rows}x{columns}"))}", times);
            for (int i = 0; i < totals.Length; i++)
            {
                totals[i] += times[i];
            }
        }

        Row("layer |", totals);
        Line($"32 such layers: device {32 * (totals[0] + totals[2]):F1} s, processor {32 * (totals[1] + totals[3]):F1} s, "
            + $"{Environment.ProcessorCount} processors (slices not included; moments by the time a token of a sample takes)");
    }

    private void Row(string name, double[] times) => report.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"| {name} | {times[0]:F2} | {times[1]:F2} | {times[2]:F2} | {times[3]:F2} |"));

    // Kernels are compiled and loaded before anything is timed.
    private void Warm(QuantizationOptions options)
    {
        foreach ((int rows, int columns) in ((int, int)[])[(384, 384), (11008, 384), (4096, 4096)])
        {
            using Hessian hessian = Moments(columns, 512, device, out _);
            LayerQuantizer.Quantize("layer", Random(rows * columns, 9, 0.02f), rows, columns, hessian, options, device);
        }
    }

    // What the time of one matrix is made of.
    private void Steps()
    {
        foreach (int columns in (int[])[4096, 11008])
        {
            Products(columns);
            using Hessian moments = Moments(columns, 4096, device, out MomentTime time);
            Line($"moments of {columns}: {time.Token * 256e3:F3} ms a block of 256 tokens as they come from the processor, "
                + $"{time.End:F3} s at the end");
        }

        foreach ((int rows, int columns) in ((int, int)[])[(4096, 4096), (11008, 4096), (4096, 11008)])
        {
            var workers = new Workers(Environment.ProcessorCount, default);
            using Hessian hessian = Moments(columns, columns + 500, device, out _);
            float[] weights = Random(rows * columns, 9, 0.02f);
            using ILayerSteps steps = device.Open(hessian, workers);
            double factor = 0, again = 0, scale = 0, sweep = 0, fit = 0, loss = 0;
            DampedHessian? damped = null, second = null;
            factor = Seconds(() => damped = DampedHessian.Create(hessian, Paper, steps, new LayerWarnings("")));
            again = Seconds(() => second = DampedHessian.Create(hessian, Paper, steps, new LayerWarnings("")));
            second!.Dispose();
            var source = new WeightSource(weights, rows, columns, null);
            ScaleTable? scales = null;
            scale = Seconds(() => scales = ScaleCalculator.Compute(source, Paper, null, out _, default));
            byte[] codes = [];
            sweep = Seconds(() => codes = damped!.Factor.Sweep(source, damped, scales!, Paper, out _));
            damped!.Dispose();
            var matrix = new QuantizedMatrix(rows, columns, Paper.Format, scales!, codes);
            using IErrorProducts errors = steps.Errors(weights, matrix, null);
            LowRankFactors? factors = null;
            fit = Seconds(() => factors = new LowRankSolver(errors, false).Fit(8, LowRankStorage.Float16));
            loss = Seconds(() => CorrectedLoss.Compute(0, errors, factors!));
            Line($"{rows}x{columns}: H to the device and factored {factor:F3} s, factored again {again:F3}, scales (processor) {scale:F3}, "
                + $"sweep {sweep:F3}, low rank {fit:F3}, loss {loss:F3}");
        }
    }

    // A block of 256 tokens that are on the device.
    private void Products(int columns)
    {
        const int Tokens = 256, Repeats = 20;
        using DeviceMatrix tokens = device.Matrix(Tokens, columns);
        using DeviceMatrix sums = device.Matrix(columns, columns);
        using CudaEvent start = new(device.Context), end = new(device.Context);
        Add();
        start.Record(device.Stream);
        for (int i = 0; i < Repeats; i++)
        {
            Add();
        }

        end.Record(device.Stream);
        double milliseconds = end.MillisecondsSince(start) / Repeats;
        Line($"moments of {columns}: {milliseconds:F3} ms a block of 256 tokens on the device, "
            + $"{Tokens * (double)columns * (columns + 1) / milliseconds / 1e9:F1} TFLOP/s in float32");

        void Add() => device.Products.Add(ProductOperand.Of(tokens), ProductOperand.Of(tokens), sums.Address, sums.Stride, sums.Stride,
            sums.Stride, Tokens, Tokens, ProductMode.Lower);
    }

    private void CheckMoments(int columns, int tokens, int outputs)
    {
        float[] x = Random(tokens * columns, 1, 1), t = Random(tokens * outputs, 2, 1);
        (Hessian hessian, CrossMoment beside) = Sum(null, out double processor);
        (Hessian other, CrossMoment otherBeside) = Sum(device, out double seconds);
        long unlike = 0;
        for (int row = 0; row < columns; row++)
        {
            unlike += Unlike(hessian.Row(row), other.Row(row));
        }

        for (int row = 0; row < outputs; row++)
        {
            unlike += Unlike(beside.Row(row), otherBeside.Row(row));
        }

        Judge(unlike == 0, $"moments of {tokens} tokens of {columns}, {outputs} beside: {unlike} values differ; "
            + $"{processor:F2} s, {seconds:F2} s");
        hessian.Dispose();
        other.Dispose();
        beside.Dispose();
        otherBeside.Dispose();

        (Hessian, CrossMoment) Sum(ILayerDevice? on, out double time)
        {
            var watch = Stopwatch.StartNew();
            using var sums = new GramAccumulator(columns, new Workers(Environment.ProcessorCount, default, on), outputs);
            sums.Add(tokens, places =>
            {
                for (int i = 0; i < places.Count; i++)
                {
                    places.Set(i, x.AsSpan((places.First + i) * columns, columns));
                    places.SetBeside(0, i, t.AsSpan((places.First + i) * outputs, outputs));
                }
            });
            Hessian summed = sums.ToHessian();
            CrossMoment moment = sums.TakeBeside(0, tokens);
            time = watch.Elapsed.TotalSeconds;
            return (summed, moment);
        }
    }

    private void CheckLayer(string name, int rows, int columns, QuantizationOptions options, int tokens)
    {
        float[] weights = Random(rows * columns, 3, 0.05f);
        using Hessian hessian = Moments(columns, tokens, null, out _);
        QuantizedLayer? expected = null, actual = null;
        double processor = Seconds(() => expected = LayerQuantizer.Quantize("layer", weights, rows, columns, hessian, options));
        double seconds = Seconds(() => actual = LayerQuantizer.Quantize("layer", weights, rows, columns, hessian, options, device));
        int codes = expected!.Weights.Codes.Zip(actual!.Weights.Codes).Count(pair => pair.First != pair.Second);
        long scales = Unlike(
            expected.Weights.RowScales ?? expected.Weights.GroupScales, actual.Weights.RowScales ?? actual.Weights.GroupScales);
        long factors = Unlike(expected.LowRank?.Up, actual.LowRank?.Up) + Unlike(expected.LowRank?.Down, actual.LowRank?.Down);
        double loss = (actual.Loss / expected.Loss) - 1;
        Judge(codes == 0 && scales == 0 && factors == 0 && Math.Abs(loss) < 1e-4,
            $"{rows}x{columns}, {name}: {codes} bytes of codes, {scales} scales, {factors} numbers of the branch differ, "
            + $"loss {loss:E1} relative; {processor:F2} s, {seconds:F2} s");
    }

    private static long Unlike(ReadOnlySpan<float> one, ReadOnlySpan<float> other)
    {
        long count = Math.Abs(one.Length - other.Length);
        for (int i = 0; i < Math.Min(one.Length, other.Length); i++)
        {
            count += one[i] == other[i] ? 0 : 1;
        }

        return count;
    }

    private void Judge(bool isRight, string what)
    {
        Failures += isRight ? 0 : 1;
        Line($"{(isRight ? "ok  " : "FAIL")} {what}");
    }

    private void Line(string text) => report.WriteLine(text);

    private static double Seconds(Action work)
    {
        var watch = Stopwatch.StartNew();
        work();
        return watch.Elapsed.TotalSeconds;
    }

    // H of random tokens whose neighbouring columns are correlated.
    private static Hessian Moments(int columns, int tokens, ILayerDevice? on, out MomentTime time)
    {
        const int Batch = 512;
        float[] values = Random((Batch + 1) * columns, 4, 1);
        for (int i = 1; i < values.Length; i++)
        {
            values[i] = (0.8f * values[i - 1]) + (0.6f * values[i]);
        }

        using var sums = new GramAccumulator(columns, new Workers(Environment.ProcessorCount, default, on));
        AddBatch(0);
        var watch = Stopwatch.StartNew();
        for (int done = Batch; done < tokens; done += Batch)
        {
            AddBatch(done);
        }

        double adding = watch.Elapsed.TotalSeconds / Math.Max(1, tokens - Batch);
        watch.Restart();
        Hessian hessian = sums.ToHessian();
        time = new MomentTime(adding, watch.Elapsed.TotalSeconds);
        return hessian;

        void AddBatch(int done) => sums.Add(Math.Min(Batch, tokens - done), places =>
        {
            for (int i = 0; i < places.Count; i++)
            {
                places.Set(i, values.AsSpan(((places.First + i) * columns) + (done / Batch * 37 % columns), columns));
            }
        });
    }

    /// <summary>Seconds of sums.</summary>
    /// <param name="Token">A token.</param>
    /// <param name="End">What follows the last token.</param>
    private readonly record struct MomentTime(double Token, double End)
    {
        public double Of(int tokens) => (tokens * Token) + End;
    }

    private static float[] Random(int count, int seed, float scale)
    {
        float[] values = new float[count];
        uint state = (uint)seed * 2654435761u + 1;
        for (int i = 0; i < count; i++)
        {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            values[i] = scale * ((state / 2147483648f) - 1);
        }

        return values;
    }
}
