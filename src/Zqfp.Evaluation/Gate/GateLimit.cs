namespace Zqfp.Evaluation;

/// <summary>One measurement and its limit.</summary>
/// <param name="Code">The code where it fails.</param>
/// <param name="Value">What was measured.</param>
/// <param name="Interval">Its 95 % interval; null where none is known.</param>
/// <param name="Limit">The limit.</param>
/// <param name="IsMost">Whether the limit is the most that is allowed; else the least.</param>
/// <param name="Evidence">What it was measured on.</param>
/// <param name="Advice">What to do where it fails.</param>
/// <param name="Finding">What was found, without a full stop.</param>
internal sealed record GateLimit(
    string Code, double Value, Interval? Interval, double Limit, bool IsMost, Evidence Evidence, string Advice, string Finding)
{
    /// <summary>Why it fails, or null; what is beyond the limit but within the noise goes to <paramref name="warnings"/>.</summary>
    public Diagnostic? Judge(string model, ICollection<Diagnostic> warnings)
    {
        if (IsWithin(Value))
        {
            return null;
        }

        if (Interval is null || !(IsWithin(Interval.Low) || IsWithin(Interval.High)))
        {
            return new Diagnostic(Code, DiagnosticSeverity.Error, $"{Finding}. {Advice}", model);
        }

        warnings.Add(new Diagnostic("ZQFP3004", DiagnosticSeverity.Warning,
            $"{Finding}, but {Evidence.Count} {Evidence.Unit} cannot tell it from the limit, so the gate passes. "
                + Evidence.Needed(Value, Interval, Limit),
            model));
        return null;
    }

    private bool IsWithin(double value) => IsMost ? value <= Limit : value >= Limit;
}
