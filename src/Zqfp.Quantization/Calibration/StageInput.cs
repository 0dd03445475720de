using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>What the layers of a stage read, over all calibration windows.</summary>
/// <param name="Hessian">H = (2/N) sum x x^T.</param>
/// <param name="Range">What the values range over.</param>
internal sealed record StageInput(Hessian Hessian, ActivationRange Range) : IDisposable
{
    public void Dispose() => Hessian.Dispose();
}
