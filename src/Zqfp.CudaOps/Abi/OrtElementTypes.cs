namespace Zqfp.CudaOps;

/// <summary>Sizes of element types, and the .NET types that hold them.</summary>
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

    /// <summary>The element type whose values <typeparamref name="T"/> is.</summary>
    /// <exception cref="NotSupportedException"><typeparamref name="T"/> is none of the numeric types of tensors.</exception>
    public static OrtElementType Of<T>()
        where T : unmanaged => OfOrUndefined<T>() is var type and not OrtElementType.Undefined
            ? type
            : throw new NotSupportedException($"{typeof(T)} is no element type of a tensor.");

    private static OrtElementType OfOrUndefined<T>() =>
        typeof(T) == typeof(float) ? OrtElementType.Float
        : typeof(T) == typeof(Half) ? OrtElementType.Float16
        : typeof(T) == typeof(double) ? OrtElementType.Double
        : typeof(T) == typeof(long) ? OrtElementType.Int64
        : typeof(T) == typeof(int) ? OrtElementType.Int32
        : typeof(T) == typeof(byte) ? OrtElementType.UInt8
        : typeof(T) == typeof(sbyte) ? OrtElementType.Int8
        : typeof(T) == typeof(short) ? OrtElementType.Int16
        : typeof(T) == typeof(ushort) ? OrtElementType.UInt16
        : typeof(T) == typeof(uint) ? OrtElementType.UInt32
        : typeof(T) == typeof(ulong) ? OrtElementType.UInt64
        : typeof(T) == typeof(bool) ? OrtElementType.Bool
        : OrtElementType.Undefined;
}
