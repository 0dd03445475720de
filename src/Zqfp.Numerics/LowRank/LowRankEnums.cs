namespace Zqfp.Numerics;

/// <summary>Which error the low-rank correction minimizes.</summary>
internal enum LowRankWeighting
{
    /// <summary>||E - UV||: the truncated SVD of the weight error (LoRC).</summary>
    Plain,

    /// <summary>tr((E - UV) H (E - UV)^T): the error of the layer's output. Needs a Hessian.</summary>
    ActivationWeighted,
}

/// <summary>In which type the low-rank factors are kept.</summary>
internal enum LowRankStorage
{
    /// <summary>float32.</summary>
    Float32,

    /// <summary>float16.</summary>
    Float16,
}
