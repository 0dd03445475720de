namespace Zqfp.Numerics;

/// <summary>How a layer is quantized. The defaults are the paper's recipe: FP4 E2M1, groups of 256, M2, GPTQ, LoRC of rank 8.</summary>
internal sealed record QuantizationOptions
{
    /// <summary>Value of <see cref="GroupSize"/>: one group is a whole row.</summary>
    public const int WholeRow = 0;

    /// <summary>Value of <see cref="GroupSize"/>: one scale for the whole tensor.</summary>
    public const int WholeTensor = -1;

    /// <summary>Columns that share a scale in the formats of MX.</summary>
    public const int MxGroup = 32;

    /// <summary>Rows and columns that share a scale in DeepSeek's FP8.</summary>
    public const int SquareBlock = 128;

    /// <summary>Format of the weights.</summary>
    public NumberFormat Format { get; init; } = NumberFormat.E2M1;

    /// <summary>
    /// Input columns that share a scale; the last group of a row may be shorter. Or <see cref="WholeRow"/>, <see cref="WholeTensor"/>.
    /// </summary>
    public int GroupSize { get; init; } = 256;

    /// <summary>Rows that share their scales, with <see cref="ScaleConstraint.Ue8M0"/> alone; the last ones may be fewer.</summary>
    public int GroupRows { get; init; } = 1;

    /// <summary>What the scales may be.</summary>
    public ScaleConstraint Constraint { get; init; } = ScaleConstraint.M2;

    /// <summary>How the constraint rounds; without effect when there is none.</summary>
    public PowerRounding Rounding { get; init; } = PowerRounding.Nearest;

    /// <summary>
    /// Largest exponent k of <see cref="ScaleConstraint.M2"/> and Ue8M0, 0..126; at 14 FP4 times 2^-k still fits E4M3 exactly.
    /// </summary>
    public int MaxExponent { get; init; } = 14;

    /// <summary>Type of the stored scales.</summary>
    public ScaleStorage ScaleStorage { get; init; } = ScaleStorage.Float32;

    /// <summary>Whether scales are searched for.</summary>
    public ScaleSearch ScaleSearch { get; init; } = ScaleSearch.None;

    /// <summary>How codes are chosen.</summary>
    public QuantizationMethod Method { get; init; } = QuantizationMethod.Gptq;

    /// <summary>Share of the mean of the Hessian's diagonal that is added to its diagonal, 0..1.</summary>
    public double Damping { get; init; } = 0.01;

    /// <summary>Columns that GPTQ handles between two matrix products: a multiple of 32, 32..512. Speed only.</summary>
    public int BlockSize { get; init; } = 128;

    /// <summary>Whether GPTQ takes columns by descending diagonal of the Hessian. Groups stay those of the original order.</summary>
    public bool ActOrder { get; init; }

    /// <summary>
    /// Sweeps of coordinate descent after GPTQ, each rounding every column anew given all others: 0 or more. A sweep costs about
    /// twice GPTQ's time and never raises the loss.
    /// </summary>
    public int RefineSweeps { get; init; }

    /// <summary>
    /// Whether S_max of each row is fitted to its codes after the first sweep of refinement; with <see cref="ScaleConstraint.M2"/> alone.
    /// It costs about as much as a sweep.
    /// </summary>
    public bool RefitScales { get; init; }

    /// <summary>Rank of the low-rank correction; 0 for none.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>What the low-rank correction minimizes.</summary>
    public LowRankWeighting LowRankWeighting { get; init; } = LowRankWeighting.Plain;

    /// <summary>Type of the stored factors.</summary>
    public LowRankStorage LowRankStorage { get; init; } = LowRankStorage.Float16;

    /// <summary>How often, after the first fit, the weights less the correction are quantized again and the correction refitted.</summary>
    public int LowRankRefits { get; init; }

    /// <summary>
    /// Whether a refit's errors may fall where the correction takes them away: GPTQ and refinement then weigh errors by
    /// <see cref="BranchFreeHessian"/>. Where the rank is above a quarter of the columns they do not.
    /// </summary>
    public bool SparesBranch { get; init; }

    /// <summary>Threads used at most; 0 for one a processor. The result does not depend on it.</summary>
    public int MaxThreads { get; init; }

    /// <summary>Whether scales are fitted to their codes: rows must have scales of their own.</summary>
    internal bool RefitsScales => RefitScales && Constraint == ScaleConstraint.M2 && GroupSize != WholeTensor;

    internal int Threads => MaxThreads == 0 ? Environment.ProcessorCount : MaxThreads;

    internal void Validate(bool hasHessian)
    {
        Require(GroupSize >= WholeTensor, nameof(GroupSize), GroupSize, "a number of columns, 0 (whole row) or -1 (whole tensor)");
        Require(GroupRows == 1 || (GroupRows > 1 && Constraint == ScaleConstraint.Ue8M0), nameof(GroupRows), GroupRows,
            "1, or more with the constraint Ue8M0");
        Require(MaxExponent is >= 0 and <= 126, nameof(MaxExponent), MaxExponent, "0..126");
        Require(Damping is >= 0 and <= 1, nameof(Damping), Damping, "0..1");
        Require(BlockSize is >= 32 and <= 512 && BlockSize % 32 == 0, nameof(BlockSize), BlockSize, "a multiple of 32 in 32..512");
        Require(RefineSweeps >= 0, nameof(RefineSweeps), RefineSweeps, "0 or more");
        Require(Rank >= 0, nameof(Rank), Rank, "0 or more");
        Require(LowRankRefits >= 0, nameof(LowRankRefits), LowRankRefits, "0 or more");
        Require(MaxThreads >= 0, nameof(MaxThreads), MaxThreads, "0 or more");
        Require(Enum.IsDefined(Constraint), nameof(Constraint), Constraint, "a defined value");
        Require(Enum.IsDefined(Rounding), nameof(Rounding), Rounding, "a defined value");
        Require(Enum.IsDefined(ScaleStorage), nameof(ScaleStorage), ScaleStorage, "a defined value");
        Require(Enum.IsDefined(ScaleSearch), nameof(ScaleSearch), ScaleSearch, "a defined value");
        Require(Enum.IsDefined(Method), nameof(Method), Method, "a defined value");
        Require(Enum.IsDefined(LowRankWeighting), nameof(LowRankWeighting), LowRankWeighting, "a defined value");
        Require(Enum.IsDefined(LowRankStorage), nameof(LowRankStorage), LowRankStorage, "a defined value");
        Require(hasHessian || Method != QuantizationMethod.Gptq, nameof(Method), Method, "Rtn, as no Hessian is given");
        Require(hasHessian || ScaleSearch is ScaleSearch.None or ScaleSearch.Squared, nameof(ScaleSearch), ScaleSearch,
            "None or Squared, as no Hessian is given");
        Require(hasHessian || Rank == 0 || LowRankWeighting == LowRankWeighting.Plain, nameof(LowRankWeighting),
            LowRankWeighting, "Plain, as no Hessian is given");
    }

    private static void Require(bool condition, string name, object value, string expected)
    {
        if (!condition)
        {
            throw new ZqfpException(
                DiagnosticCodes.InvalidOption, FormattableString.Invariant($"{name} is {value}; it must be {expected}."));
        }
    }
}
