namespace Zqfp.CudaOps;

/// <summary>
/// How a product is divided: panels of Y by blocks of rows, which are as many as stay in a second-level cache while panel after panel is
/// multiplied with them.
/// </summary>
/// <param name="Panels">Panels of Y.</param>
/// <param name="Rows">Rows of Y.</param>
/// <param name="RowsPerBlock">Rows of a block; the last may have fewer.</param>
internal readonly record struct RowBlocks(int Panels, int Rows, int RowsPerBlock)
{
    /// <summary>
    /// Rows that share decoded columns: at most so many, for their totals to stay in cache, and at least so many, to make decoding cheap.
    /// </summary>
    private const int Most = 128, Least = 24;

    /// <summary>Parts that are computed independently.</summary>
    public int Count => Panels * ((Rows + RowsPerBlock - 1) / RowsPerBlock);

    /// <summary>Divides rows into blocks of about one size.</summary>
    /// <param name="panels">Panels of Y.</param>
    /// <param name="rows">Rows, at least one.</param>
    /// <param name="rowBytes">What a row takes.</param>
    /// <param name="blockBytes">What the rows of a block take at most.</param>
    /// <param name="step">Rows that the inner loop takes at once.</param>
    public static RowBlocks Of(int panels, int rows, int rowBytes, int blockBytes, int step)
    {
        int most = Math.Clamp(blockBytes / Math.Max(rowBytes, 1), Least, Most);
        int blocks = (rows + most - 1) / most;
        int rowsPerBlock = (rows + blocks - 1) / blocks;
        return new RowBlocks(panels, rows, (rowsPerBlock + step - 1) / step * step);
    }

    /// <summary>The panel of a part, and its rows.</summary>
    public (int Panel, int FirstRow, int Rows) At(int index)
    {
        int firstRow = index / Panels * RowsPerBlock;
        return (index % Panels, firstRow, Math.Min(RowsPerBlock, Rows - firstRow));
    }
}
