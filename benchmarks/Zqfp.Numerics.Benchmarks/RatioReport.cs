using System.Diagnostics;
using System.Globalization;

namespace Zqfp.Numerics.Benchmarks;

/// <summary>
/// The project's speed goals in one run: rounds of ONNX Runtime's MatMul, GPTQ and Gram accumulation by turns, so that other load
/// on the machine meets all alike; medians of the rounds, and of their ratios.
/// </summary>
internal static class RatioReport
{
    private const int Size = 4096;
    private const int Tokens = 2048;

    public static void Run(int rounds)
    {
        using var matMul = new OrtMatMul(Size, Environment.ProcessorCount);
        using Hessian hessian = SyntheticLayer.Hessian(Size, 2);
        using var gram = new GramAccumulator(Size);
        float[] tokens = SyntheticLayer.Tokens(Tokens, Size, 3);
        float[] weights = SyntheticLayer.Uniform(Size * Size, 1);
        byte[] codes = new byte[weights.Length / 2];
        var options = new QuantizationOptions { Rank = 0 };

        // Counted as multiply and add: factorization K^3 / 3, sweep N K^2. The textbook's Cholesky, inverse and Cholesky would
        // be 4/3 K^3 in place of the first term.
        double cube = (double)Size * Size * Size;
        double gptqOperations = (cube / 3) + cube;
        double textbookOperations = (4 * cube / 3) + cube;
        double gramOperations = (double)Tokens * Size * (Size + 1);
        var gptq = new List<double>();
        var textbook = new List<double>();
        var gramRate = new List<double>();
        var encode = new List<double>();
        for (int round = -1; round < rounds; round++)
        {
            double matMulRate = matMul.Operations / Seconds(matMul.Run);
            double gptqSeconds = Seconds(() => LayerQuantizer.Quantize(weights, Size, Size, hessian, options));
            double gramRateNow = gramOperations / Seconds(() => gram.Add(tokens));
            double encodeRate = 4.0 * weights.Length * sizeof(float) / Seconds(() => Encode(weights, codes));
            if (round < 0)
            {
                continue;
            }

            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"MatMul {matMulRate / 1e9:f0} GFLOP/s, GPTQ {gptqSeconds:f3} s ({gptqOperations / gptqSeconds / 1e9:f0} GFLOP/s), "
                + $"Gram {gramRateNow / 1e9:f0} GFLOP/s, encode {encodeRate / 1e9:f2} GB/s"));
            gptq.Add(gptqSeconds * matMulRate / gptqOperations);
            textbook.Add(gptqSeconds * matMulRate / textbookOperations);
            gramRate.Add(gramRateNow / matMulRate);
            encode.Add(encodeRate);
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"GPTQ {Size} x {Size}, time over ONNX Runtime's MatMul at the same operations: "
            + $"{Median(gptq):f2} (own count, 4/3 n^3), {Median(textbook):f2} (textbook count, 7/3 n^3)"));
        Console.WriteLine(FormattableString.Invariant(
            $"Gram accumulation, rate over ONNX Runtime's MatMul (own count, K (K + 1) a token): {Median(gramRate):f2}"));
        Console.WriteLine(FormattableString.Invariant($"FP4 encoding, one core, float32 input: {Median(encode) / 1e9:f2} GB/s"));
    }

    private static void Encode(float[] weights, byte[] codes)
    {
        for (int i = 0; i < 4; i++)
        {
            NumberFormat.E2M1.EncodePacked(weights, 0.15f, codes);
        }
    }

    private static double Seconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
