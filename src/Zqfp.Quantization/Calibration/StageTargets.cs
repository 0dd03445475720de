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
    /// <summary>Moves a layer's weights to what reproduces its target.</summary>
    /// <param name="layer">The layer's name.</param>
    /// <param name="weights">W [rows, columns] in the basis of the input; changed where that lowers the held-out error.</param>
    /// <param name="rows">N.</param>
    /// <param name="all">H of all windows.</param>
    /// <param name="workers">Who computes.</param>
    /// <returns>The ridge chosen, infinity where the weights stayed.</returns>
    public double Move(string layer, float[] weights, int rows, Hessian all, Workers workers)
    {
        PartedMoment? outputs = Outputs.GetValueOrDefault(layer);
        using TargetGap fit = outputs is null
            ? TargetGap.FromInputs(weights, rows, Shift!.Fit, workers)
            : TargetGap.FromOutputs(weights, outputs.Fit, Fit, workers);
        using TargetGap held = outputs is null
            ? TargetGap.FromInputs(weights, rows, Shift!.Held, workers)
            : TargetGap.FromOutputs(weights, outputs.Held, Held, workers);
        double ridge = FloatTarget.Choose(Fit, Held, fit, held, workers);
        if (!double.IsFinite(ridge))
        {
            return ridge;
        }

        fit.Add(held);
        return FloatTarget.Apply(weights, all, fit, ridge, workers) ? ridge : double.PositiveInfinity;
    }

    public void Dispose()
    {
        Fit.Dispose();
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
