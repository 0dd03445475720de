using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Zqfp.CudaOps;

/// <summary>
/// The inner loops of products of several E4M3 tokens with E2M1 weights, by instructions that multiply pairs of 16-bit integers. A chunk's
/// sum is taken in integers, exactly, as <see cref="CodeMath"/> takes it for few tokens, and the results are the same bits.
/// </summary>
internal abstract unsafe class PairMath
{
    /// <summary>Every implementation that this machine can run, the fastest last; for tests of one against the other.</summary>
    public static IReadOnlyList<PairMath> All { get; } =
    [
        new PortablePairMath(),
        .. Avx2.IsSupported ? [new Avx2PairMath<Avx2PairSum>()] : (PairMath[])[],
        .. AvxVnni.IsSupported ? [new Avx2PairMath<AvxVnniPairSum>()] : (PairMath[])[],
        .. Avx512BW.IsSupported && Vector512.IsHardwareAccelerated ? [new Avx512PairMath()] : (PairMath[])[],
    ];

    /// <summary>The implementation for this machine; null where dot products of bytes do better.</summary>
    public static PairMath? Best { get; } = CodeMath.Best is DigitMath and not PortableCodeMath ? null : All[^1];

    /// <summary>Rows of W that are decoded and multiplied at once, as in <see cref="PanelMath"/>.</summary>
    public abstract int StripWidth { get; }

    /// <summary>Rows of X that a unit of <see cref="RowTiles"/> has.</summary>
    public abstract int RowUnit { get; }

    /// <summary>
    /// Writes twice the weights of a strip: for each pair of columns, in the order of <see cref="TokenPairs"/>, two 16-bit integers of
    /// each row.
    /// </summary>
    /// <param name="words">The strip's first word; words of the next columns follow at a panel's width.</param>
    /// <param name="columns">A multiple of 8.</param>
    /// <param name="strip">The integers.</param>
    public abstract void Decode(uint* words, int columns, int* strip);

    /// <summary>Multiplies tiles of tokens with a strip: the sums of all its columns are added to the totals under the scales.</summary>
    /// <param name="x">The tiles, a pair of columns after another.</param>
    /// <param name="tiles">How their rows are divided.</param>
    /// <param name="strip">The decoded columns.</param>
    /// <param name="pairs">How many pairs of columns.</param>
    /// <param name="places">Bits below the place of each row's integers.</param>
    /// <param name="starts">What is added to each sum, a strip's width of them for each row: zero, or see <see cref="Start"/>.</param>
    /// <param name="scales">A scale for each of the strip's rows.</param>
    /// <param name="totals">As many totals for each row of X.</param>
    public abstract void Multiply(
        float* x, in RowTiles tiles, int* strip, int pairs, int* places, int* starts, float* scales, float* totals);

    /// <summary>What a token's rests add to the products of its pairs.</summary>
    /// <param name="rests">Its rests in the chunk.</param>
    /// <param name="count">How many.</param>
    /// <param name="strip">The decoded columns.</param>
    /// <param name="starts">Receives a strip's width of integers.</param>
    public abstract void Start(TokenPairs.Rest* rests, int count, int* strip, int* starts);
}
