using System.Diagnostics.CodeAnalysis;

namespace Zqfp.CudaOps;

/// <summary>Element types of activations and outputs on the device; the names are the kernels' type names.</summary>
[SuppressMessage("Naming", "CA1720", Justification = "The formats are called so.")]
internal enum ElementKind
{
    /// <summary>IEEE binary32.</summary>
    Float32,

    /// <summary>IEEE binary16.</summary>
    Float16,

    /// <summary>The upper half of binary32.</summary>
    BFloat16,
}
