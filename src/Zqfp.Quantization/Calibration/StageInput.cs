using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>What the layers of a stage read, over all calibration windows.</summary>
/// <param name="Hessian">H = (2/N) sum x x^T; null where no token was there, or only zeros.</param>
/// <param name="Range">What the values range over; null where nothing was there.</param>
internal sealed record StageInput(Hessian? Hessian, ActivationRange? Range) : IDisposable
{
    /// <summary>Whether nothing is known of what the layers read.</summary>
    public bool IsUnseen => Hessian is null;

    public void Dispose() => Hessian?.Dispose();
}
