namespace Zqfp.Quantization;

/// <summary>What a check came to.</summary>
internal enum DoctorState
{
    /// <summary>It is there.</summary>
    Ok,

    /// <summary>It is not there, and quantizing does without it.</summary>
    Missing,

    /// <summary>Quantizing is impossible without it.</summary>
    Problem,
}

/// <summary>One thing looked at.</summary>
/// <param name="Name">What it is.</param>
/// <param name="State">What the check came to.</param>
/// <param name="Found">What was found.</param>
/// <param name="Advice">What to do about it, where there is something to do.</param>
/// <param name="Code">The diagnostic that says more, where there is one.</param>
internal sealed record DoctorCheck(string Name, DoctorState State, string Found, string? Advice = null, string? Code = null);

/// <summary>What this machine offers.</summary>
/// <param name="Checks">Everything looked at, in order.</param>
internal sealed record DoctorReport(IReadOnlyList<DoctorCheck> Checks)
{
    /// <summary>Whether models can be quantized here.</summary>
    public bool CanQuantize => Checks.All(check => check.State != DoctorState.Problem);
}
