using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Tokens as floats, rotated.</summary>
internal static unsafe class TokenRotator
{
    /// <summary>Reads one token.</summary>
    /// <param name="x">The tokens, float or float16.</param>
    /// <param name="isHalf">Whether they are float16.</param>
    /// <param name="start">Elements before the token.</param>
    /// <param name="row">Receives its values.</param>
    /// <param name="columns">How many.</param>
    /// <param name="block">Values of a block, which divides <paramref name="columns"/>; 0 for no rotation.</param>
    public static void Read(nint x, bool isHalf, long start, float* row, int columns, int block)
    {
        var target = new Span<float>(row, columns);
        var source = new ReadOnlySpan<float>((float*)x + start, columns);
        if (isHalf)
        {
            HalfConversion.ToSingle((Half*)x + start, row, columns);
            source = target;
        }
        else if (block == 0)
        {
            source.CopyTo(target);
        }

        if (block > 0)
        {
            BlockHadamard.Apply(source, target, block);
        }
    }
}
