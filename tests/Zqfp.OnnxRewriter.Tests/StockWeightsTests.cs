using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter.Tests;

public sealed class StockWeightsTests
{
    /// <summary>Twice the value of each FP4 code.</summary>
    private static readonly int[] Doubled = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    [Theory]
    [InlineData(100, 100, 128)]
    [InlineData(96, 96, 32)]
    [InlineData(288, 256, 32)]
    [InlineData(512, 256, 256)]
    [InlineData(512, 48, 16)]
    [InlineData(64, 24, 0)]
    [InlineData(20, 24, 32)]
    public void A_block_lies_within_a_group_and_takes_the_fewest_bytes(int columns, int groupSize, int block) =>
        Assert.Equal(block, StockLayout.Of(WeightCodes.Fp4E2M1, 3, columns, groupSize).BlockSize);

    [Fact]
    public void FP8_weights_have_no_blocks()
    {
        StockLayout layout = StockLayout.Of(WeightCodes.Fp8E4M3, 3, 100, 64);
        Assert.Equal(0, layout.BlockSize);
        Assert.Equal(300, layout.CodeBytes);
        Assert.Equal(3 * 2 * 4, layout.ScaleBytes);
    }

    /// <summary>Rows of an odd number of codes begin in the middle of a byte, and rows are filled up to whole blocks.</summary>
    [Fact]
    public void Any_part_can_be_read_by_itself()
    {
        const int Rows = 5, Columns = 21;
        QuantizedLayerTensors layer = Layer(Rows, Columns);
        StockLayout layout = StockLayout.Of(layer);
        TensorData data = StockWeights.Blocked(layer, layout);
        Assert.Equal([Rows, 1, 32], data.Dims);
        byte[] whole = data.Slice(0, (int)data.ByteLength).ToArray();
        for (int i = 0; i < whole.Length; i++)
        {
            (int row, int column) = Math.DivRem(i, 32);
            Assert.Equal(128 + (column < Columns ? Doubled[((row * Columns) + column) * 5 % 16] : 0), whole[i]);
        }

        for (int start = 0; start < whole.Length; start += 13)
        {
            int count = Math.Min(39, whole.Length - start);
            Assert.Equal(whole[start..(start + count)], data.Slice(start, count).ToArray());
        }
    }

    [Fact]
    public void Indices_are_the_codes_one_by_one()
    {
        QuantizedLayerTensors layer = Layer(3, 21);
        TensorData data = StockWeights.Indices(layer, StockLayout.Of(layer));
        Assert.Equal([.. Enumerable.Range(7, 20).Select(i => (byte)(i * 5 % 16))], data.Slice(7, 20).ToArray());
    }

    private static QuantizedLayerTensors Layer(int rows, int columns)
    {
        byte[] codes = new byte[((rows * columns) + 1) / 2];
        for (int i = 0; i < rows * columns; i++)
        {
            codes[i / 2] |= (byte)(i * 5 % 16 << (4 * (i % 2)));
        }

        return new QuantizedLayerTensors
        {
            Layer = new LinearLayer
            {
                Name = "layer",
                Nodes = [],
                Input = "x",
                Output = "y",
                Source = new ConstantWeight(new TensorProto(), null, [], Transposed: false, TensorProto.Types.DataType.Float, ["w"]),
                StoredInputMajor = false,
                InFeatures = columns,
                OutFeatures = rows,
                Type = TensorProto.Types.DataType.Float,
            },
            CodesType = WeightCodes.Fp4E2M1,
            Codes = codes,
            GroupSize = columns,
            Scales = new float[rows],
        };
    }
}
