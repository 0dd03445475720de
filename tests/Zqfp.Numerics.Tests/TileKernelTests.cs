namespace Zqfp.Numerics.Tests;

public sealed unsafe class TileKernelTests
{
    [Theory]
    [InlineData(8, 32, 1)]
    [InlineData(16, 32, 9)]
    [InlineData(24, 64, 77)]
    [InlineData(128, 96, 256)]
    public void All_vector_widths_give_the_same_bits(int m, int n, int k)
    {
        float[] scalar = Multiply(0, m, n, k);
        Assert.Equal(scalar, Multiply(256, m, n, k));
        if (TileKernel.MachineBits == 512)
        {
            Assert.Equal(scalar, Multiply(512, m, n, k));
        }
    }

    [Fact]
    public void Adds_the_product_to_what_is_there()
    {
        float[] a = RandomData.Uniform(5 * 8, 1);
        float[] b = RandomData.Uniform(5 * 32, 2);
        float[] c = [.. Enumerable.Repeat(3f, 8 * 32)];
        fixed (float* pa = a, pb = b, pc = c)
        {
            TileKernel.MultiplyAdd(pa, 8, pb, 32, pc, 32, 8, 32, 5);
        }

        for (int i = 0; i < 8; i++)
        {
            for (int j = 0; j < 32; j++)
            {
                double expected = 3;
                for (int p = 0; p < 5; p++)
                {
                    expected += (double)a[(p * 8) + i] * b[(p * 32) + j];
                }

                Assert.Equal(expected, c[(i * 32) + j], tolerance: 1e-5);
            }
        }
    }

    private static float[] Multiply(int bits, int m, int n, int k)
    {
        float[] a = RandomData.Uniform(k * m, 1);
        float[] b = RandomData.Uniform(k * n, 2);
        float[] c = RandomData.Uniform(m * n, 3);
        fixed (float* pa = a, pb = b, pc = c)
        {
            TileKernel.MultiplyAdd(bits, pa, m, pb, n, pc, n, m, n, k);
        }

        return c;
    }
}
