using static Zqfp.OnnxRewriter.Protos.TensorProto.Types;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class TensorDataTests
{
    [Theory]
    [InlineData(DataType.Float, 1f / 3, 70000f)]
    [InlineData(DataType.Float16, 0.33325195f, float.PositiveInfinity)]
    [InlineData(DataType.Bfloat16, 0.33398438f, 70144f)]
    internal void Numbers_are_rounded_to_the_type(DataType type, float third, float large)
    {
        var tensor = TensorData.Of(type, [4], [1f / 3, 70000f, -2f, 0f]);
        float[] numbers = new float[4];
        tensor.ReadFloats(0, numbers);
        Assert.Equal([third, large, -2f, 0f], numbers);
        Assert.Equal(type == DataType.Float ? 16 : 8, tensor.ByteLength);
    }
}
