using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Values of one token between float16 or float tensors and rows of floats.</summary>
internal static unsafe class TokenValues
{
    /// <summary>Reads some of a tensor's elements.</summary>
    public static void Read(nint tensor, bool isHalf, long start, float* row, int count)
    {
        if (isHalf)
        {
            HalfConversion.ToSingle((Half*)tensor + start, row, count);
            return;
        }

        new ReadOnlySpan<float>((float*)tensor + start, count).CopyTo(new Span<float>(row, count));
    }

    /// <summary>row += other, rounded to float16 where tensors are of that type.</summary>
    [MethodImpl(HotLoop.Options)]
    public static void Add(float* row, float* other, bool isHalf, int count)
    {
        int i = 0;
        for (; i <= count - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            (Vector512.Load(row + i) + Vector512.Load(other + i)).Store(row + i);
        }

        for (; i < count; i++)
        {
            row[i] += other[i];
        }

        if (isHalf)
        {
            HalfConversion.Round(row, count);
        }
    }

    /// <summary>Writes a row to a tensor; of float16 tensors it is rounded already.</summary>
    public static void Write(float* row, nint tensor, bool isHalf, long start, int count)
    {
        if (isHalf)
        {
            HalfConversion.ToHalf(row, (Half*)tensor + start, count);
            return;
        }

        new ReadOnlySpan<float>(row, count).CopyTo(new Span<float>((float*)tensor + start, count));
    }

    /// <summary>Rounds a row to float16 where tensors are of that type; then rotates it and makes its codes.</summary>
    /// <param name="row">The values, which are changed.</param>
    /// <param name="isHalf">Whether values are float16.</param>
    /// <param name="rotation">Values of a block that are rotated, or 0.</param>
    /// <param name="codes">Receives the codes.</param>
    /// <param name="count">How many.</param>
    /// <returns>The scale.</returns>
    public static float Quantize(float* row, bool isHalf, int rotation, byte* codes, int count)
    {
        if (isHalf)
        {
            HalfConversion.Round(row, count);
        }

        return TokenQuantizer.Rotated(row, rotation, row, codes, count);
    }
}
