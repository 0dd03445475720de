namespace Zqfp.CudaOps;

/// <summary>Inner loops that multiply several tokens by products of bytes too, where one instruction adds four of them.</summary>
internal abstract unsafe class DigitMath : CodeMath
{
    /// <summary>
    /// Writes twice the weights and <see cref="TokenDigits.WeightOffset"/>, a byte each: for every eight columns four bytes of each of 64
    /// rows with the even columns, then as many with the odd ones.
    /// </summary>
    /// <param name="words">Packed words; <paramref name="columns"/> / 8 rows of 64.</param>
    /// <param name="columns">A multiple of 8.</param>
    /// <param name="decoded">The bytes.</param>
    public abstract void Decode(uint* words, int columns, byte* decoded);

    /// <summary>Multiplies tokens with a chunk's decoded columns and adds the sums to the totals, under their scales.</summary>
    /// <param name="chunk">The chunk in the tokens.</param>
    /// <param name="decoded">Its decoded columns.</param>
    /// <param name="scales">64 scales.</param>
    /// <param name="totals">64 totals for each token.</param>
    public abstract void Multiply(in TokenChunk chunk, byte* decoded, float* scales, float* totals);
}
