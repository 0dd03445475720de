using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>What the layers of a stage read, over all calibration windows.</summary>
/// <param name="Hessian">
/// H = (2/N) sum a a^T, where a is the input as the layers will see it; null where no token was there, or only zeros, and where
/// <paramref name="Targets"/> has it in parts.
/// </param>
/// <param name="Range">What the values range over, as the graph has them; null where nothing was there.</param>
/// <param name="Rotation">Inputs of a block that are rotated, 0 for none: weights must be too.</param>
/// <param name="Targets">What the layers are to reproduce; null for their own weights.</param>
internal sealed record StageInput(Hessian? Hessian, ActivationRange? Range, int Rotation, StageTargets? Targets) : IDisposable
{
    /// <summary>Tokens that a router sent the layer; null where every token goes through it.</summary>
    public long? Tokens { get; init; }

    /// <summary>Whether nothing is known of what the layers read.</summary>
    public bool IsUnseen => Hessian is null && Targets is null;

    public void Dispose()
    {
        Hessian?.Dispose();
        Targets?.Dispose();
    }
}
