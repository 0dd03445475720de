using System.Numerics.Tensors;

namespace Zqfp.Evaluation;

/// <summary>How far the logits of one model are from those of another, over some rows. Sums, so that parts can be added.</summary>
/// <param name="Rows">Rows compared, each the logits of one token.</param>
/// <param name="Largest">Largest absolute difference of two logits.</param>
/// <param name="Sum">Sum of the absolute differences.</param>
/// <param name="Divergence">
/// Sum over rows of the Kullback-Leibler divergence of the second model's distribution from the first's, in nats.
/// </param>
/// <param name="LargestDivergence">The largest of a row.</param>
/// <param name="Agreements">Rows whose likeliest token is the same.</param>
internal readonly record struct LogitDifference(
    long Rows, double Largest, double Sum, double Divergence, double LargestDivergence, long Agreements)
{
    public static LogitDifference operator +(LogitDifference a, LogitDifference b) => new(
        a.Rows + b.Rows,
        Math.Max(a.Largest, b.Largest),
        a.Sum + b.Sum,
        a.Divergence + b.Divergence,
        Math.Max(a.LargestDivergence, b.LargestDivergence),
        a.Agreements + b.Agreements);

    /// <summary>
    /// Compares the logits of one token: sum p (log p - log q) with both rows shifted to a maximum of 0, so that what is summed is small
    /// where the rows are close.
    /// </summary>
    /// <param name="reference">The first model's, [vocabulary].</param>
    /// <param name="other">The second model's.</param>
    /// <param name="difference">Room for a row.</param>
    /// <param name="scratch">Room for another one.</param>
    public static LogitDifference OfRow(
        ReadOnlySpan<float> reference, ReadOnlySpan<float> other, Span<float> difference, Span<float> scratch)
    {
        TensorPrimitives.Subtract(reference, other, difference);
        double sum = TensorPrimitives.SumOfMagnitudes<float>(difference);
        if (double.IsNaN(sum))
        {
            ClearMasked(reference, other, difference);
            sum = TensorPrimitives.SumOfMagnitudes<float>(difference);
        }

        double largest = TensorPrimitives.MaxMagnitude(difference);

        float referenceMax = TensorPrimitives.Max(reference);
        float otherMax = TensorPrimitives.Max(other);
        TensorPrimitives.Subtract(other, otherMax, scratch);
        TensorPrimitives.Exp(scratch, scratch);
        double otherTotal = TensorPrimitives.Sum<float>(scratch);
        TensorPrimitives.Subtract(reference, referenceMax, scratch);
        TensorPrimitives.Exp(scratch, scratch);
        double referenceTotal = TensorPrimitives.Sum<float>(scratch);
        TensorPrimitives.Add(difference, otherMax - referenceMax, difference);
        double divergence = (TensorPrimitives.Dot<float>(scratch, difference) / referenceTotal) + Math.Log(otherTotal / referenceTotal);

        // Rounding can leave a little less than nothing; NaN must stay.
        divergence = divergence < 0 ? 0 : divergence;
        bool agrees = TensorPrimitives.IndexOfMax(reference) == TensorPrimitives.IndexOfMax(other);
        return new LogitDifference(1, Math.Abs(largest), sum, divergence, divergence, agrees ? 1 : 0);
    }

    /// <summary>Tokens that both models never give, such as those that fill a vocabulary up, are no difference.</summary>
    private static void ClearMasked(ReadOnlySpan<float> reference, ReadOnlySpan<float> other, Span<float> difference)
    {
        for (int i = 0; i < difference.Length; i++)
        {
            if (float.IsNegativeInfinity(reference[i]) && float.IsNegativeInfinity(other[i]))
            {
                difference[i] = 0;
            }
        }
    }
}
