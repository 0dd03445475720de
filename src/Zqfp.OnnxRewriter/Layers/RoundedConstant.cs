using Zqfp.OnnxRewriter.Protos;
using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>A constant whose numbers are rounded to another floating-point type, as Cast does.</summary>
/// <param name="Source">The constant.</param>
/// <param name="Type">The type.</param>
internal sealed record RoundedConstant(ConstantValue Source, DataType Type) : ConstantValue(Source.Dims, Type)
{
    public override IEnumerable<string> Leaves => Source.Leaves;

    public override IEnumerable<NodeProto> Products => Source.Products;

    public override bool IsReadInParts => Source.IsReadInParts;

    public override float[] Numbers(OnnxFile file, long first, int count)
    {
        float[] numbers = Source.Numbers(file, first, count);
        Round(numbers, Type);
        return numbers;
    }

    /// <summary>Rounds to nearest, ties to even; float32 and integers stay.</summary>
    public static void Round(Span<float> numbers, DataType type)
    {
        for (int i = 0; i < numbers.Length && type is DataType.Float16 or DataType.Bfloat16; i++)
        {
            numbers[i] = type == DataType.Float16 ? (float)(Half)numbers[i] : ToBfloat16(numbers[i]);
        }
    }

    internal static float ToBfloat16(float number)
    {
        uint bits = BitConverter.SingleToUInt32Bits(number);
        return float.IsNaN(number) ? number : BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
