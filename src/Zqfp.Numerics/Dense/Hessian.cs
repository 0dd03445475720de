namespace Zqfp.Numerics;

/// <summary>
/// A layer's Hessian H = (2/N) sum x x^T, float32, symmetric [K, K]. It owns its memory outside the managed heap, so that K is
/// not limited by the length of an array; dispose it when the layer is done.
/// </summary>
internal sealed unsafe class Hessian : IDisposable
{
    // Rows are padded with zeros, so that kernels may read whole vectors; the odd number of cache lines keeps the rows of one
    // column from falling into the same cache set.
    private readonly AlignedBuffer _values;

    internal Hessian(int size, long tokens)
    {
        Size = size;
        Tokens = tokens;
        PaddedSize = VectorMath.RoundUp(size, TileKernel.ColumnStep);
        Stride = PaddedSize + 16;
        _values = new AlignedBuffer((long)PaddedSize * Stride);
    }

    /// <summary>K: number of input columns of the layer.</summary>
    public int Size { get; }

    /// <summary>Tokens it was made of; 0 if unknown.</summary>
    public long Tokens { get; }

    internal int PaddedSize { get; }

    internal int Stride { get; }

    internal float* Data => _values.Data;

    /// <summary>Copies a dense row-major [size, size] matrix. Only its lower triangle is read, so the result is symmetric.</summary>
    /// <param name="values">size * size numbers.</param>
    /// <param name="size">K, 1 or more.</param>
    /// <param name="tokens">Tokens it was made of, for reports; 0 if unknown.</param>
    /// <exception cref="ZqfpException">ZQFP2001: the length is not size * size.</exception>
    public static Hessian FromDense(ReadOnlySpan<float> values, int size, long tokens = 0)
    {
        if (size < 1 || values.Length != (long)size * size)
        {
            throw new ZqfpException(
                DiagnosticCodes.ShapeMismatch,
                $"A Hessian of size {size} needs {(long)size * size} values; {values.Length} were given.");
        }

        var hessian = new Hessian(size, tokens);
        for (int i = 0; i < size; i++)
        {
            values.Slice(i * size, i + 1).CopyTo(hessian.MutableRow(i));
        }

        hessian.MirrorLowerTriangle();
        return hessian;
    }

    /// <summary>One row, K values.</summary>
    public ReadOnlySpan<float> Row(int index) => MutableRow(index);

    /// <summary>Copies all values, row-major.</summary>
    /// <param name="target">Receives Size * Size values.</param>
    public void CopyTo(Span<float> target)
    {
        for (int i = 0; i < Size; i++)
        {
            Row(i).CopyTo(target.Slice(i * Size, Size));
        }
    }

    /// <summary>Frees the memory.</summary>
    public void Dispose() => _values.Dispose();

    internal Span<float> MutableRow(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Size, nameof(index));
        return _values.Slice((long)index * Stride, Size);
    }

    /// <summary>Adds the sum over other tokens, scaled by the same N.</summary>
    internal void Add(Hessian other)
    {
        for (int i = 0; i < Size; i++)
        {
            VectorMath.AddScaled(MutableRow(i), 1, other.Row(i));
        }
    }

    /// <summary>R H R for the block Hadamard matrix R: H of the same tokens rotated.</summary>
    /// <param name="block">Length of a block, which divides <see cref="Size"/>.</param>
    /// <param name="workers">Who computes.</param>
    internal Hessian Rotate(int block, Workers workers)
    {
        var rotated = new Hessian(Size, Tokens);
        workers.For(Size, i => BlockHadamard.Apply(Row(i), rotated.MutableRow(i), block));
        workers.For(Size / block, i => rotated.RotateRows(i * block, block));
        rotated.MirrorLowerTriangle(workers);
        return rotated;
    }

    internal float[] Diagonal()
    {
        float[] diagonal = new float[Size];
        for (int i = 0; i < Size; i++)
        {
            diagonal[i] = Data[((long)i * Stride) + i];
        }

        return diagonal;
    }

    // The butterflies of a block, across whole rows.
    private void RotateRows(int first, int block)
    {
        float[] sum = new float[Size];
        for (int stride = 1; stride < block; stride *= 2)
        {
            for (int i = 0; i < block; i++)
            {
                if ((i & stride) != 0)
                {
                    continue;
                }

                Span<float> one = MutableRow(first + i);
                Span<float> other = MutableRow(first + i + stride);
                one.CopyTo(sum);
                VectorMath.AddScaled(sum, 1, other);
                VectorMath.AddScaled(one, -1, other);
                one.CopyTo(other);
                sum.CopyTo(one);
            }
        }

        for (int i = 0; i < block; i++)
        {
            VectorMath.Scale(MutableRow(first + i), BlockHadamard.Normalization(block));
        }
    }

    internal void MirrorLowerTriangle() => MirrorLowerTriangle(new Workers(1, CancellationToken.None));

    internal void MirrorLowerTriangle(Workers workers)
    {
        const int Block = 32;
        workers.For((Size + Block - 1) / Block, block =>
        {
            int i0 = block * Block;
            for (int j0 = 0; j0 <= i0; j0 += Block)
            {
                int iEnd = Math.Min(i0 + Block, Size);
                for (int i = i0; i < iEnd; i++)
                {
                    int jEnd = Math.Min(j0 + Block, i);
                    for (int j = j0; j < jEnd; j++)
                    {
                        Data[((long)j * Stride) + i] = Data[((long)i * Stride) + j];
                    }
                }
            }
        });
    }

    internal bool IsFinite(Workers workers)
    {
        int bad = 0;
        workers.For(Size, i =>
        {
            if (VectorMath.IndexOfNonFinite(Row(i)) >= 0)
            {
                Interlocked.Exchange(ref bad, 1);
            }
        });
        return bad == 0;
    }
}
