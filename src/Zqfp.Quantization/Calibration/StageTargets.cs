using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>
/// The moments that a stage's float targets are found from, in two parts: of the windows that weights are fitted to, and of those held out.
/// </summary>
/// <param name="Fit">H of the first, as a part of the sum over all.</param>
/// <param name="Held">H of the others.</param>
/// <param name="Shift">Sums of (x - a) a^T, for layers that are to give W x; null where the stage has none of them.</param>
/// <param name="Outputs">Sums of t a^T by the layer's name, for layers whose targets t were summed themselves.</param>
internal sealed record StageTargets(Hessian Fit, Hessian Held, PartedMoment? Shift, IReadOnlyDictionary<string, PartedMoment> Outputs)
    : IDisposable
{
    private Hessian? _all;

    /// <summary>
    /// The means that were taken out of the moments, for layers whose biases are fitted; null where the moments are as they were summed.
    /// </summary>
    public StageMeans? Means { get; init; }

    /// <summary>
    /// H of all windows. It is made when it is first asked for; for the last layer in the place of <see cref="Fit"/>, whose matrix of K x K
    /// numbers is not held twice then.
    /// </summary>
    /// <param name="isLast">Whether no other layer needs the parts: they end.</param>
    public Hessian TakeAll(bool isLast)
    {
        if (_all is null && isLast)
        {
            Fit.Add(Held);
            _all = Fit;
        }
        else if (_all is null)
        {
            _all = new Hessian(Fit.Size, Fit.Tokens);
            _all.Add(Fit);
            _all.Add(Held);
        }

        if (isLast)
        {
            DisposeParts();
        }

        return _all;
    }

    /// <summary>Moves a layer's weights to what reproduces its target.</summary>
    /// <param name="layer">The layer's name.</param>
    /// <param name="weights">W [rows, columns] in the basis of the input; changed where that lowers the held-out error.</param>
    /// <param name="rows">N.</param>
    /// <param name="isLast">Whether no other layer needs these moments: they end as soon as they are used.</param>
    /// <param name="workers">Who computes.</param>
    /// <returns>The ridge chosen, infinity where the weights stayed.</returns>
    public double Move(string layer, float[] weights, int rows, bool isLast, Workers workers)
    {
        PartedMoment? outputs = Outputs.GetValueOrDefault(layer);
        double ridge = Choose(weights, rows, outputs, workers);
        if (!double.IsFinite(ridge))
        {
            return ridge;
        }

        using TargetGap gap = Gap(weights, rows, outputs?.Fit, Shift?.Fit, Fit, workers);
        using (TargetGap held = Gap(weights, rows, outputs?.Held, Shift?.Held, Held, workers))
        {
            gap.Add(held);
        }

        return FloatTarget.Apply(weights, TakeAll(isLast), gap, ridge, workers) ? ridge : double.PositiveInfinity;
    }

    private double Choose(float[] weights, int rows, PartedMoment? outputs, Workers workers)
    {
        int[] sample = RowSample.Evenly(rows, FloatTarget.Rows);
        float[] some = RowSample.Of(weights, sample, Fit.Size);
        using CrossMoment? fitOutputs = outputs?.Fit.Pick(sample);
        using CrossMoment? heldOutputs = outputs?.Held.Pick(sample);
        using TargetGap fit = Gap(some, sample.Length, fitOutputs, Shift?.Fit, Fit, workers);
        using TargetGap held = Gap(some, sample.Length, heldOutputs, Shift?.Held, Held, workers);
        return FloatTarget.Choose(Fit, Held, fit, held, workers);
    }

    private static TargetGap Gap(float[] weights, int rows, CrossMoment? outputs, CrossMoment? shift, Hessian hessian, Workers workers) =>
        outputs is null
            ? TargetGap.FromInputs(weights, rows, shift!, workers)
            : TargetGap.FromOutputs(weights, outputs, hessian, workers);

    public void Dispose()
    {
        DisposeParts();
        _all?.Dispose();
    }

    private void DisposeParts()
    {
        if (!ReferenceEquals(Fit, _all))
        {
            Fit.Dispose();
        }

        Held.Dispose();
        Shift?.Dispose();
        foreach (PartedMoment moment in Outputs.Values)
        {
            moment.Dispose();
        }
    }
}

/// <summary>A moment of the windows that weights are fitted to, and that of those held out, as parts of the sum over all.</summary>
internal sealed record PartedMoment(CrossMoment Fit, CrossMoment Held) : IDisposable
{
    public void Dispose()
    {
        Fit.Dispose();
        Held.Dispose();
    }
}
