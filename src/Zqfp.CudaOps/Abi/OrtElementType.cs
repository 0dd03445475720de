namespace Zqfp.CudaOps;

#pragma warning disable CA1720 // The names are those of the ONNX specification.
/// <summary>Element types of tensors, numbered as ONNX Runtime's C ABI numbers them.</summary>
internal enum OrtElementType
{
    /// <summary>No type, or in an operator's signature any type.</summary>
    Undefined = 0,

    /// <summary>IEEE binary32, <see cref="float"/>.</summary>
    Float = 1,

    /// <summary><see cref="byte"/>.</summary>
    UInt8 = 2,

    /// <summary><see cref="sbyte"/>.</summary>
    Int8 = 3,

    /// <summary><see cref="ushort"/>.</summary>
    UInt16 = 4,

    /// <summary><see cref="short"/>.</summary>
    Int16 = 5,

    /// <summary><see cref="int"/>.</summary>
    Int32 = 6,

    /// <summary><see cref="long"/>.</summary>
    Int64 = 7,

    /// <summary>Text; its data is not reachable as bytes.</summary>
    String = 8,

    /// <summary><see cref="bool"/>, one byte.</summary>
    Bool = 9,

    /// <summary>IEEE binary16, <see cref="Half"/>.</summary>
    Float16 = 10,

    /// <summary>IEEE binary64, <see cref="double"/>.</summary>
    Double = 11,

    /// <summary><see cref="uint"/>.</summary>
    UInt32 = 12,

    /// <summary><see cref="ulong"/>.</summary>
    UInt64 = 13,

    /// <summary>Two binary32.</summary>
    Complex64 = 14,

    /// <summary>Two binary64.</summary>
    Complex128 = 15,

    /// <summary>The upper half of a binary32.</summary>
    BFloat16 = 16,

    /// <summary>E4M3 without infinities (OCP FP8), one byte.</summary>
    Float8E4M3FN = 17,

    /// <summary>E4M3 without negative zero, one byte.</summary>
    Float8E4M3FNUZ = 18,

    /// <summary>E5M2 (OCP FP8), one byte.</summary>
    Float8E5M2 = 19,

    /// <summary>E5M2 without negative zero, one byte.</summary>
    Float8E5M2FNUZ = 20,

    /// <summary>Unsigned nibbles, the first in the low half of a byte; contiguous over the whole tensor.</summary>
    UInt4 = 21,

    /// <summary>Signed nibbles, packed as <see cref="UInt4"/>.</summary>
    Int4 = 22,

    /// <summary>E2M1 (OCP FP4), packed as <see cref="UInt4"/>.</summary>
    Float4E2M1 = 23,
}
