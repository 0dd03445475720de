namespace Zqfp.CudaOps;

/// <summary>The rows of a call that are multiplied with one weight: all of them, or those that an expert has.</summary>
internal unsafe struct TokenRows
{
    /// <summary>The first row of X.</summary>
    public nint X;

    /// <summary>Element type of X.</summary>
    public OrtElementType XType;

    /// <summary>One scale for each row of X; null where there are none.</summary>
    public float* TokenScales;

    /// <summary>A x of each row, where it was taken before; else null.</summary>
    public float* Projections;

    /// <summary>The first row of Y.</summary>
    public nint Y;

    /// <summary>How many rows there are.</summary>
    public int Count;

    /// <summary>Which row of X each of them reads; null where each reads its own.</summary>
    public int* Sources;

    /// <summary>Which row of Y each of them makes; null where each makes its own.</summary>
    public int* Targets;

    /// <summary>The row of X that row <paramref name="row"/> reads.</summary>
    public readonly int Source(int row) => Sources is null ? row : Sources[row];

    /// <summary>The row of Y that row <paramref name="row"/> makes.</summary>
    public readonly int Target(int row) => Targets is null ? row : Targets[row];
}
