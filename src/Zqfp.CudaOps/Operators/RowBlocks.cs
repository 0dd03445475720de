namespace Zqfp.CudaOps;

/// <summary>
/// How a product is divided: panels of Y, or some of them that follow each other, by blocks of rows, which are as many as stay in a
/// second-level cache meanwhile.
/// </summary>
/// <param name="Panels">Panels of Y, or groups of them.</param>
/// <param name="Rows">Rows of Y.</param>
/// <param name="RowsPerBlock">Rows of a block; the last may have fewer.</param>
internal readonly record struct RowBlocks(int Panels, int Rows, int RowsPerBlock)
{
    /// <summary>Parts that are computed independently.</summary>
    public int Count => Panels * ((Rows + RowsPerBlock - 1) / RowsPerBlock);

    /// <summary>Rows of the last block.</summary>
    public int LastRows => Rows - ((Rows - 1) / RowsPerBlock * RowsPerBlock);

    /// <summary>Divides rows into blocks of about one size.</summary>
    /// <param name="panels">Panels of Y.</param>
    /// <param name="rows">Rows, at least one.</param>
    /// <param name="most">Rows of a block at most.</param>
    /// <param name="step">Rows that the inner loop takes at once.</param>
    public static RowBlocks Of(int panels, int rows, int most, int step)
    {
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
