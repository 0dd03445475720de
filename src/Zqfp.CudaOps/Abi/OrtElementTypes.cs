namespace Zqfp.CudaOps;

/// <summary>Sizes of element types.</summary>
internal static class OrtElementTypes
{
    /// <summary>Bits of one element.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The type has no fixed size (<c>Undefined</c>, <c>String</c>).</exception>
    public static int BitsPerElement(OrtElementType type) => type switch
    {
        OrtElementType.UInt4 or OrtElementType.Int4 or OrtElementType.Float4E2M1 => 4,
        OrtElementType.UInt8 or OrtElementType.Int8 or OrtElementType.Bool
            or OrtElementType.Float8E4M3FN or OrtElementType.Float8E4M3FNUZ
            or OrtElementType.Float8E5M2 or OrtElementType.Float8E5M2FNUZ => 8,
        OrtElementType.UInt16 or OrtElementType.Int16 or OrtElementType.Float16 or OrtElementType.BFloat16 => 16,
        OrtElementType.Float or OrtElementType.Int32 or OrtElementType.UInt32 => 32,
        OrtElementType.Double or OrtElementType.Int64 or OrtElementType.UInt64 or OrtElementType.Complex64 => 64,
        OrtElementType.Complex128 => 128,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "The type has no fixed size."),
    };

    /// <summary>Bytes of a tensor: two 4-bit elements share a byte, and an odd count ends with half a byte unused.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The type has no fixed size, or a dimension is negative.</exception>
    /// <exception cref="OverflowException">The tensor is larger than 2^63 bits.</exception>
    public static long ByteCount(OrtElementType type, ReadOnlySpan<long> shape) =>
        checked(ElementCount(shape) * BitsPerElement(type) + 7) / 8;

    /// <summary>The product of the dimensions; 1 for a scalar.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A dimension is negative.</exception>
    public static long ElementCount(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long dimension in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dimension, nameof(shape));
            count = checked(count * dimension);
        }
        return count;
    }
}
