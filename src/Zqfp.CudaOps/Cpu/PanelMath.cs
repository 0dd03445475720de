using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>
/// The inner loops, one implementation per instruction set. For each element of the product all of them do the same roundings:
/// a chunk's sum is a chain of fused multiply-adds in column order, and total = fma(sum, scale, total).
/// </summary>
internal abstract unsafe class PanelMath
{
    /// <summary>The implementation for this machine.</summary>
    public static PanelMath Best { get; } =
        Avx512F.IsSupported && Vector512.IsHardwareAccelerated ? new Avx512PanelMath(Avx512Vbmi.IsSupported)
        : Avx2.IsSupported && Fma.IsSupported ? new Avx2PanelMath()
        : new PortablePanelMath();

    /// <summary>Every implementation that this machine can run; for tests of one against the other.</summary>
    public static IReadOnlyList<PanelMath> All { get; } =
    [
        new PortablePanelMath(),
        .. Avx2.IsSupported && Fma.IsSupported ? new PanelMath[] { new Avx2PanelMath() } : [],
        .. Avx512F.IsSupported && Vector512.IsHardwareAccelerated ? new PanelMath[] { new Avx512PanelMath(byteLookup: false) } : [],
        .. Avx512Vbmi.IsSupported && Vector512.IsHardwareAccelerated ? new PanelMath[] { new Avx512PanelMath(byteLookup: true) } : [],
    ];

    /// <summary>
    /// Rows of W that are decoded and multiplied at once, a divisor of a panel's: their values for a chunk's columns stay in a first-level
    /// cache, where all tiles of X meet them.
    /// </summary>
    public abstract int StripWidth { get; }

    /// <summary>Rows of X that a unit of <see cref="RowTiles"/> has.</summary>
    public abstract int RowUnit { get; }

    /// <summary>
    /// Writes the values of E2M1 codes of a strip: <see cref="StripWidth"/> floats a column, one column after another.
    /// </summary>
    /// <param name="words">The strip's first word; words of the next columns follow at a panel's width.</param>
    /// <param name="columns">A multiple of 8.</param>
    /// <param name="strip">The values.</param>
    public abstract void DecodeE2M1(uint* words, int columns, float* strip);

    /// <summary>The same for E4M3 codes, four to a word.</summary>
    public abstract void DecodeE4M3(uint* words, int columns, float* strip);

    /// <summary>Multiplies tiles of X with a strip: the sums of all its columns are added to the totals under the scales.</summary>
    /// <param name="x">The tiles.</param>
    /// <param name="tiles">How their rows are divided.</param>
    /// <param name="strip">The decoded columns.</param>
    /// <param name="columns">How many.</param>
    /// <param name="scales">A scale for each of the strip's rows.</param>
    /// <param name="totals">As many totals for each row of X.</param>
    public abstract void Multiply(float* x, in RowTiles tiles, float* strip, int columns, float* scales, float* totals);

    /// <summary>
    /// The product of one row of X with a whole panel of E2M1 weights, decoded in registers: the weights are read once, and
    /// nothing else is.
    /// </summary>
    /// <param name="x">The laid-out row.</param>
    /// <param name="weights">The weights.</param>
    /// <param name="panel">Which panel.</param>
    /// <param name="totals">64 totals.</param>
    public abstract void MultiplyRowE2M1(float* x, PackedWeights weights, int panel, float* totals);

    /// <summary>The same for E4M3 weights.</summary>
    public abstract void MultiplyRowE4M3(float* x, PackedWeights weights, int panel, float* totals);

    /// <summary>
    /// Inner products of one row of X with rows of A, each as 16 interleaved chains of fused multiply-adds whose sums are added
    /// pairwise.
    /// </summary>
    /// <param name="x">The row.</param>
    /// <param name="a">The first row of A; the next follows after <paramref name="length"/>.</param>
    /// <param name="length">A multiple of 16.</param>
    /// <param name="rows">Rows of A, a multiple of 8.</param>
    /// <param name="results">One for each row of A.</param>
    public abstract void Project(float* x, float* a, int length, int rows, float* results);
}
