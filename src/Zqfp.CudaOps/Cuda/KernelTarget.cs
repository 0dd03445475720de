using System.Globalization;

namespace Zqfp.CudaOps;

/// <summary>What kernels are compiled for: a device's own architecture, or PTX of an older one, which the driver compiles.</summary>
/// <param name="Architecture">NVRTC's name.</param>
internal sealed record KernelTarget(string Architecture)
{
    /// <summary>Compute capability of Hopper, 10 * major + minor: the fast kernels are written for it, and for no other.</summary>
    public const int Hopper = 90;

    /// <summary>The lowest compute capability of which the other kernels are right: Ampere.</summary>
    public const int Lowest = 80;

    /// <summary>Hopper with the instructions that are its own.</summary>
    public static KernelTarget HopperItself { get; } = new("sm_90a");

    /// <summary>Whether the target is PTX.</summary>
    public bool IsPtx => Architecture.StartsWith("compute_", StringComparison.Ordinal);

    /// <summary>What to compile for.</summary>
    /// <param name="capability">The device's compute capability, 10 * major + minor.</param>
    /// <param name="known">The architectures that the compiler knows, in this form.</param>
    public static KernelTarget Of(int capability, IReadOnlyList<int> known)
    {
        if (capability == Hopper)
        {
            return HopperItself;
        }

        int best = known.Where(one => one <= capability).DefaultIfEmpty(Lowest).Max();
        return new KernelTarget(string.Create(CultureInfo.InvariantCulture, $"{(best == capability ? "sm" : "compute")}_{best}"));
    }
}
