using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Zqfp.Numerics;

/// <summary>
/// Tries scales around max|w| / Fmax and keeps the one with the least weighted squared error. Smaller ones clip the largest
/// weights and resolve the others better; larger ones map the largest weight to a lower code ("four over six").
/// </summary>
/// <param name="format">Format of the weights.</param>
/// <param name="columnWeights">Cost of an error in each column, or null for ones.</param>
/// <param name="store">Rounds a scale to its storage type.</param>
internal sealed class ScaleSearcher(NumberFormat format, float[]? columnWeights, Func<float, float> store)
{
    private const int StepsPerOctave = 24;
    private const int AnchorsPerOctave = 16;
    private const float LowestFactor = 0.5f;
    private const float HighestFactor = 1.6f;

    /// <summary>Scales to try without a constraint; <paramref name="scale"/> itself first, so that it wins a tie.</summary>
    public static float[] FreeCandidates(float scale)
    {
        var candidates = new List<float> { scale };
        for (int i = -StepsPerOctave; i <= StepsPerOctave; i++)
        {
            float factor = MathF.Pow(2, (float)i / StepsPerOctave);
            if (i != 0 && factor <= HighestFactor)
            {
                candidates.Add(scale * factor);
            }
        }

        return [.. candidates];
    }

    /// <summary>Normal powers of two to try with M1 and UE8M0; the one that <paramref name="rounding"/> asks for first.</summary>
    public static float[] PowerCandidates(float scale, PowerRounding rounding)
    {
        int exponent = Math.Clamp(ScaleCalculator.RoundLog2(scale, 1, rounding), -125, 126);
        return [MathF.ScaleB(1, exponent), MathF.ScaleB(1, exponent - 1), MathF.ScaleB(1, exponent + 1)];
    }

    /// <summary>The stored candidate with the least error, summed over several stretches of weights that share the scale.</summary>
    /// <param name="candidates">Scales to try.</param>
    /// <param name="costs">Error of each candidate, from <see cref="AddCosts"/>.</param>
    public float Best(float[] candidates, double[] costs) => store(candidates[Array.IndexOf(costs, costs.Min())]);

    /// <summary>Adds the error of a stretch of weights under each candidate.</summary>
    /// <param name="weights">Weights of columns from <paramref name="firstColumn"/> on.</param>
    /// <param name="firstColumn">First column.</param>
    /// <param name="candidates">Scales to try.</param>
    /// <param name="costs">Sums to add to.</param>
    public void AddCosts(ReadOnlySpan<float> weights, int firstColumn, float[] candidates, double[] costs)
    {
        for (int i = 0; i < candidates.Length; i++)
        {
            costs[i] += Cost(weights, firstColumn, store(candidates[i]));
        }
    }

    /// <summary>Anchors S_max to try with M2: one octave's worth, as exponents cover the rest.</summary>
    public float[] Anchors(float scale)
    {
        float[] anchors = new float[AnchorsPerOctave];
        for (int i = 0; i < anchors.Length; i++)
        {
            anchors[i] = store(scale * MathF.Pow(2, 1 - ((float)i / AnchorsPerOctave)));
        }

        return anchors;
    }

    /// <summary>The exponent with the least error for a group under an anchor.</summary>
    /// <param name="weights">Weights of the group.</param>
    /// <param name="firstColumn">Its first column.</param>
    /// <param name="anchor">S_max.</param>
    /// <param name="free">max|w| / Fmax of the group, above 0.</param>
    /// <param name="maxExponent">Largest exponent.</param>
    /// <param name="cost">Its error.</param>
    public int BestExponent(ReadOnlySpan<float> weights, int firstColumn, float anchor, float free, int maxExponent, out double cost)
    {
        int low = Math.Clamp((int)Math.Ceiling(Math.Log2(anchor / (HighestFactor * (double)free))), 0, maxExponent);
        int high = Math.Clamp((int)Math.Floor(Math.Log2(anchor / (LowestFactor * (double)free))), low, maxExponent);
        int best = low;
        cost = double.PositiveInfinity;
        for (int exponent = low; exponent <= high; exponent++)
        {
            double current = Cost(weights, firstColumn, anchor * QuantizedMatrix.PowerOfTwo(-exponent));
            if (current < cost)
            {
                cost = current;
                best = exponent;
            }
        }

        return best;
    }

    private double Cost(ReadOnlySpan<float> weights, int firstColumn, float scale)
    {
        ReadOnlySpan<float> columns = columnWeights is null ? default : columnWeights.AsSpan(firstColumn, weights.Length);
        ReadOnlySpan<Vector256<float>> wide = MemoryMarshal.Cast<float, Vector256<float>>(weights);
        ReadOnlySpan<Vector256<float>> wideColumns = MemoryMarshal.Cast<float, Vector256<float>>(columns);
        Vector256<float> divisor = Vector256.Create(scale);
        Vector256<float> sum = Vector256<float>.Zero;
        for (int i = 0; i < wide.Length; i++)
        {
            Vector256<float> error = wide[i] - (format.RoundFinite(wide[i] / divisor).Values * divisor);
            Vector256<float> weighted = wideColumns.IsEmpty ? error : error * wideColumns[i];
            sum = Vector256.FusedMultiplyAdd(error, weighted, sum);
        }

        double total = Vector256.Sum(sum);
        for (int i = wide.Length * Vector256<float>.Count; i < weights.Length; i++)
        {
            float error = weights[i] - (format.Round(weights[i] / scale) * scale);
            total += (double)error * error * (columns.IsEmpty ? 1 : columns[i]);
        }

        return total;
    }
}
