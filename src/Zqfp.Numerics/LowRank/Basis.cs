namespace Zqfp.Numerics;

/// <summary>Operations on tall matrices [length, width] whose columns span a subspace.</summary>
internal static unsafe class Basis
{
    /// <summary>The first <paramref name="count"/> unit vectors.</summary>
    public static AlignedBuffer Identity(int length, int width, int count)
    {
        var basis = new AlignedBuffer((long)length * width);
        for (int i = 0; i < count; i++)
        {
            basis.Data[((long)i * width) + i] = 1;
        }

        return basis;
    }

    /// <summary>Random signs from a fixed seed.</summary>
    public static AlignedBuffer Random(int length, int width)
    {
        var basis = new AlignedBuffer((long)length * width);
        ulong state = 0x9E3779B97F4A7C15;
        for (long i = 0; i < basis.Length; i++)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            basis.Data[i] = (state >> 63) == 0 ? 1 : -1;
        }

        return basis;
    }

    /// <summary>Makes the columns orthonormal (modified Gram-Schmidt, twice); columns that depend on others become 0.</summary>
    public static void Orthonormalize(AlignedBuffer basis, int length, int width)
    {
        float[] columns = new float[(long)length * width];
        for (int i = 0; i < length; i++)
        {
            for (int j = 0; j < width; j++)
            {
                columns[(j * length) + i] = basis.Data[((long)i * width) + j];
            }
        }

        for (int j = 0; j < width; j++)
        {
            Span<float> column = columns.AsSpan(j * length, length);
            double before = Math.Sqrt(VectorMath.Dot(column, column));
            for (int pass = 0; pass < 2; pass++)
            {
                for (int i = 0; i < j; i++)
                {
                    ReadOnlySpan<float> other = columns.AsSpan(i * length, length);
                    VectorMath.AddScaled(column, -(float)VectorMath.Dot(column, other), other);
                }
            }

            double norm = Math.Sqrt(VectorMath.Dot(column, column));
            VectorMath.Scale(column, norm > before * 1e-5 ? (float)(1 / norm) : 0);
        }

        for (int i = 0; i < length; i++)
        {
            for (int j = 0; j < width; j++)
            {
                basis.Data[((long)i * width) + j] = columns[(j * length) + i];
            }
        }
    }

    /// <summary>H X for an X [H's padded size, width].</summary>
    public static AlignedBuffer MultiplyHessian(
        Hessian hessian, AlignedBuffer right, int width, int threads, CancellationToken cancellation)
    {
        var product = new AlignedBuffer(right.Length);
        const int Step = 32;
        new Workers(threads, cancellation).For(hessian.PaddedSize / Step, i =>
        {
            for (int k = 0; k < hessian.PaddedSize; k += 256)
            {
                TileKernel.MultiplyAdd(
                    hessian.Data + ((long)k * hessian.Stride) + (i * Step),
                    hessian.Stride,
                    right.Data + ((long)k * width),
                    width,
                    product.Data + ((long)i * Step * width),
                    width,
                    Step,
                    width,
                    Math.Min(256, hessian.PaddedSize - k));
            }
        });
        return product;
    }

    /// <summary>A^T B of two [length, width] matrices, made symmetric, in double.</summary>
    public static double[] SymmetricProduct(AlignedBuffer a, AlignedBuffer b, int length, int width)
    {
        using var product = new AlignedBuffer((long)width * width);
        for (int k = 0; k < length; k += 256)
        {
            TileKernel.MultiplyAdd(
                a.Data + ((long)k * width), width, b.Data + ((long)k * width), width, product.Data, width, width,
                width, Math.Min(256, length - k));
        }

        double[] result = new double[width * width];
        for (int i = 0; i < width; i++)
        {
            for (int j = 0; j < width; j++)
            {
                result[(i * width) + j] = ((double)product.Data[(i * width) + j] + product.Data[(j * width) + i]) / 2;
            }
        }

        return result;
    }
}
