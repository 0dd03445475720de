namespace Zqfp.Numerics;

/// <summary>Something a user should know about a layer that was quantized all the same.</summary>
/// <param name="Code">A code of <see cref="DiagnosticCodes"/>.</param>
/// <param name="Message">What happened, where, and what to do.</param>
internal sealed record QuantizationWarning(string Code, string Message);
