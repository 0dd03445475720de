namespace Zqfp.Numerics;

/// <summary>The codes of this library's errors and warnings; each has a page in <c>docs/diagnostics</c>.</summary>
internal static class DiagnosticCodes
{
    /// <summary>Error: the data's length does not match the stated shape.</summary>
    public const string ShapeMismatch = "ZQFP2001";

    /// <summary>Error: the weights hold NaN or infinity.</summary>
    public const string WeightsNotFinite = "ZQFP2002";

    /// <summary>Error: the Hessian (or the activations it is made of) holds NaN or infinity.</summary>
    public const string HessianNotFinite = "ZQFP2003";

    /// <summary>Error: the Hessian cannot be factored, not even with the largest damping.</summary>
    public const string HessianNotPositiveDefinite = "ZQFP2004";

    /// <summary>Error: an option is out of its range or needs what is not given.</summary>
    public const string InvalidOption = "ZQFP2005";

    /// <summary>Error: a scale does not fit the chosen storage type.</summary>
    public const string ScaleOutOfRange = "ZQFP2006";

    /// <summary>Warning: the damping was raised because the Hessian could not be factored.</summary>
    public const string DampingRaised = "ZQFP2101";

    /// <summary>Warning: group exponents were clamped to the largest one allowed.</summary>
    public const string ExponentClamped = "ZQFP2102";

    /// <summary>Warning: input columns were never active in calibration; their weights are rounded to nearest.</summary>
    public const string DeadColumns = "ZQFP2103";
}
