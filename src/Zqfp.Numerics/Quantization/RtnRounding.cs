namespace Zqfp.Numerics;

/// <summary>Round to nearest: each weight by itself.</summary>
internal static class RtnRounding
{
    // An even number of rows, so that a tile starts at a whole byte also when the columns are odd.
    private const int TileRows = 32;

    public static byte[] Quantize(WeightSource weights, ScaleTable scales, QuantizationOptions options, CancellationToken cancellation)
    {
        NumberFormat format = options.Format;
        int columns = weights.Columns;
        byte[] packed = new byte[format.PackedLength((long)weights.Rows * columns)];
        new Workers(options.Threads, cancellation).For((weights.Rows + TileRows - 1) / TileRows, tile =>
        {
            int first = tile * TileRows;
            int rows = Math.Min(TileRows, weights.Rows - first);
            float[] values = new float[columns];
            byte[] codes = new byte[rows * columns];
            for (int r = 0; r < rows; r++)
            {
                weights.CopyRow(first + r, values);
                for (int group = 0; group < scales.Groups; group++)
                {
                    int start = group * scales.GroupSize;
                    int length = Math.Min(scales.GroupSize, columns - start);
                    format.Encode(values.AsSpan(start, length), scales.Effective[((first + r) * scales.Groups) + group],
                        codes.AsSpan((r * columns) + start, length));
                }
            }

            Store(codes, format, packed, (long)first * columns);
        });
        return packed;
    }

    /// <summary>Puts codes (one a byte) at a position of the packed tensor that starts a byte.</summary>
    public static void Store(ReadOnlySpan<byte> codes, NumberFormat format, byte[] packed, long firstCode)
    {
        if (format.Bits == 4)
        {
            NibblePacking.Pack(codes, packed.AsSpan((int)(firstCode / 2)));
        }
        else
        {
            codes.CopyTo(packed.AsSpan((int)firstCode));
        }
    }
}
