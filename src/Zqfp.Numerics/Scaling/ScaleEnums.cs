namespace Zqfp.Numerics;

/// <summary>What group scales may be (ZeroQuant-FP, section 3).</summary>
internal enum ScaleConstraint
{
    /// <summary>Any float.</summary>
    None,

    /// <summary>Each scale is a power of two.</summary>
    M1,

    /// <summary>Each scale is a row's largest scale times 2^-k with an integer k >= 0.</summary>
    M2,

    /// <summary>
    /// Each scale is a power of two, kept as <see cref="M2"/> keeps its: what UE8M0 (an exponent of 8 bits without sign or mantissa) holds
    /// in the formats of MX and DeepSeek.
    /// </summary>
    Ue8M0,
}

/// <summary>How the logarithm of a scale (M1) or of a scale ratio (M2) becomes an integer.</summary>
internal enum PowerRounding
{
    /// <summary>To the nearest integer: the least error in the ratio.</summary>
    Nearest,

    /// <summary>Down. With M2 the constrained scale is never below the free one, so nothing is clipped.</summary>
    Floor,

    /// <summary>Up, as the paper writes it. With M2 scales shrink, so the largest weights of a group may be clipped.</summary>
    Ceil,
}

/// <summary>In which type scales are kept; they are rounded to it before any weight is quantized.</summary>
internal enum ScaleStorage
{
    /// <summary>float32.</summary>
    Float32,

    /// <summary>float16.</summary>
    Float16,
}

/// <summary>Whether scales come from the largest magnitude of a group or from a search for the least error.</summary>
internal enum ScaleSearch
{
    /// <summary>max|w| / <see cref="NumberFormat.MaxValue"/>, as in the paper.</summary>
    None,

    /// <summary>The scale with the least squared error of the weights.</summary>
    Squared,

    /// <summary>The scale with the least squared error weighted by the Hessian's diagonal.</summary>
    Diagonal,

    /// <summary>
    /// The scale with the least squared error weighted by the pivots of the Hessian's factorization: what an error costs once
    /// GPTQ has compensated all it can.
    /// </summary>
    Pivot,
}
