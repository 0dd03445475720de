using System.Globalization;

namespace Zqfp.Numerics;

/// <summary>Collects a layer's warnings, each kind once.</summary>
internal sealed class LayerWarnings(string layer)
{
    private readonly SortedDictionary<string, string> _messages = new(StringComparer.Ordinal);

    public void DampingRaised(double from, double to) => _messages[DiagnosticCodes.DampingRaised] = string.Create(
        CultureInfo.InvariantCulture,
        $"Layer '{layer}': the Hessian could not be factored with a damping of {from}; {to} was used. More "
        + $"calibration tokens, or a larger Damping, avoid this.");

    public void ExponentsClamped(int clamped, int groups, int maxExponent)
    {
        if (clamped > 0)
        {
            _messages[DiagnosticCodes.ExponentClamped] = string.Create(
                CultureInfo.InvariantCulture,
                $"Layer '{layer}': {clamped} of {groups} groups need an exponent above {maxExponent} and got {maxExponent}, "
                + $"so their small weights lose precision. They matter little unless there are many; if so, "
                + $"use the constraint M1 or None.");
        }
    }

    public void DeadColumns(int dead, int columns)
    {
        if (dead > 0)
        {
            _messages[DiagnosticCodes.DeadColumns] = string.Create(
                CultureInfo.InvariantCulture,
                $"Layer '{layer}': {dead} of {columns} input columns were 0 for every calibration token; their "
                + $"weights are rounded to nearest. If that is no property of the model, calibrate with more varied text.");
        }
    }

    public IReadOnlyList<QuantizationWarning> ToList() => [.. _messages.Select(pair => new QuantizationWarning(pair.Key, pair.Value))];
}
