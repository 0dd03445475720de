namespace Zqfp.Numerics;

/// <summary>Moves between rows and the [columns, rows] layout of the sweep, a cache line of rows at a time.</summary>
internal static unsafe class Transposing
{
    /// <summary>Rows that are transposed together.</summary>
    public const int Lines = 16;

    /// <summary>target[step, line] = rows[line, column of step] for 16 lines.</summary>
    /// <param name="rows">[16, rowStride].</param>
    /// <param name="rowStride">Elements between two rows.</param>
    /// <param name="columns">Values of a row.</param>
    /// <param name="target">First element of the 16 lines.</param>
    /// <param name="stride">Elements between two columns of the target.</param>
    /// <param name="order">Column of each step, or null for the natural order.</param>
    public static void RowsToColumns(ReadOnlySpan<float> rows, int rowStride, int columns, float* target, int stride, int[]? order)
    {
        fixed (float* source = rows)
        {
            for (int step = 0; step < columns; step++)
            {
                float* from = source + (order?[step] ?? step);
                float* to = target + ((long)step * stride);
                for (int line = 0; line < Lines; line++)
                {
                    to[line] = from[line * rowStride];
                }
            }
        }
    }

    /// <summary>rowCodes[row, column of step] = codes[step, row].</summary>
    /// <param name="codes">[columns, stride], one code a byte.</param>
    /// <param name="stride">Rows of the tile.</param>
    /// <param name="rowCodes">[rows, columns].</param>
    /// <param name="rows">Rows to write.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="order">Column of each step, or null for the natural order.</param>
    public static void CodesToRows(ReadOnlySpan<byte> codes, int stride, Span<byte> rowCodes, int rows, int columns, int[]? order)
    {
        for (int r0 = 0; r0 < rows; r0 += Lines)
        {
            int end = Math.Min(r0 + Lines, rows);
            for (int step = 0; step < columns; step++)
            {
                int column = order?[step] ?? step;
                for (int r = r0; r < end; r++)
                {
                    rowCodes[(r * columns) + column] = codes[(step * stride) + r];
                }
            }
        }
    }
}
