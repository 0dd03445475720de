using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Facts about ONNX element types.</summary>
internal static class TensorTypes
{
    /// <summary>Bits of one element as stored in raw or external data, 0 for strings and unknown types.</summary>
    public static int BitsPerElement(DataType type) => type switch
    {
        DataType.Uint2 or DataType.Int2 => 2,
        DataType.Uint4 or DataType.Int4 or DataType.Float4E2M1 => 4,
        DataType.Uint8 or DataType.Int8 or DataType.Bool or DataType.Float8E4M3Fn or DataType.Float8E4M3Fnuz
            or DataType.Float8E5M2 or DataType.Float8E5M2Fnuz or DataType.Float8E8M0 => 8,
        DataType.Uint16 or DataType.Int16 or DataType.Float16 or DataType.Bfloat16 => 16,
        DataType.Float or DataType.Int32 or DataType.Uint32 => 32,
        DataType.Double or DataType.Int64 or DataType.Uint64 or DataType.Complex64 => 64,
        DataType.Complex128 => 128,
        _ => 0,
    };

    /// <summary>Whether weights of this type are read as real numbers by <see cref="TensorData.ReadFloats"/>.</summary>
    public static bool IsFloat(DataType type) =>
        type is DataType.Float or DataType.Float16 or DataType.Bfloat16 or DataType.Double;

    /// <summary>The name people call a type by, such as <c>float16</c>.</summary>
    public static string Name(DataType type) => type switch
    {
        DataType.Float => "float32",
        DataType.Double => "float64",
        DataType.Float4E2M1 => "float4e2m1",
        DataType.Float8E4M3Fn => "float8e4m3fn",
        DataType.Float8E5M2 => "float8e5m2",
        _ => type.ToString().ToLowerInvariant(),
    };

    /// <summary>Whether codes of this type are read as numbers by <see cref="TensorData.ReadFloats"/>.</summary>
    public static bool IsInteger(DataType type) =>
        type is DataType.Int8 or DataType.Uint8 or DataType.Uint2 or DataType.Int4 or DataType.Uint4 or DataType.Int16 or DataType.Uint16
            or DataType.Int32;

    /// <summary>
    /// Whether codes of this type are read as numbers by <see cref="TensorData.ReadFloats"/>, integers or floating point of 4 or 8 bits.
    /// </summary>
    public static bool IsCode(DataType type) => IsInteger(type) || IsLowFloat(type);

    /// <summary>Floating point of 4 or 8 bits.</summary>
    public static bool IsLowFloat(DataType type) =>
        type is DataType.Float8E4M3Fn or DataType.Float8E5M2 or DataType.Float8E8M0 or DataType.Float4E2M1;

    /// <summary>Bytes of a tensor of <paramref name="elements"/> elements: sub-byte types are packed without gaps between rows.</summary>
    public static long ByteLength(DataType type, long elements) =>
        checked((elements * BitsPerElement(type)) + 7) / 8;
}
