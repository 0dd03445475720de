using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter;

/// <summary>Constants that are one number.</summary>
internal static class SingleNumber
{
    /// <summary>The number, or null of any other constant.</summary>
    public static float? Of(TensorData data)
    {
        if (data.Dims.Aggregate(1L, (product, dim) => product * dim) != 1
            || data.Type is not (DataType.Float or DataType.Float16 or DataType.Int32))
        {
            return null;
        }

        float[] number = new float[1];
        data.ReadFloats(0, number);
        return number[0];
    }
}
