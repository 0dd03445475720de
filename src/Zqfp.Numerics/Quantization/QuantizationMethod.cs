namespace Zqfp.Numerics;

/// <summary>How codes are chosen once the scales are known.</summary>
internal enum QuantizationMethod
{
    /// <summary>Round to nearest, each weight by itself.</summary>
    Rtn,

    /// <summary>GPTQ: column by column, the error of each passed on to the columns not yet rounded. Needs a Hessian.</summary>
    Gptq,
}
