namespace Zqfp.CudaOps;

/// <summary>
/// Which tile a product with E4M3 weights runs with: the one whose rounds, counted, take the least time. Times are of an H200
/// (<c>Zqfp.GpuBench dense-sweep</c>); the clock, which the GPU's power limits, makes them longer in long products, of all tiles alike.
/// </summary>
internal static class DenseTuning
{
    /// <summary>Nanoseconds of a stage by rows of W, while other blocks work too.</summary>
    private static readonly (DenseTile Tile, double Stage)[] Measured =
    [
        (new(32), 130), (new(64), 200), (new(96), 255), (new(128), 345), (new(160), 420), (new(192), 520), (new(224), 600), (new(256), 768),
    ];

    /// <summary>Nanoseconds from a tile's last product to the next one's first.</summary>
    private const double Epilogue = 1800;

    /// <summary>All tiles that <see cref="Choose"/> chooses from.</summary>
    public static IEnumerable<DenseTile> All => Measured.Select(one => one.Tile);

    /// <summary>The tile for a layer and a number of tokens.</summary>
    /// <param name="multiprocessors">Of the device.</param>
    /// <param name="rows">N.</param>
    /// <param name="columns">K.</param>
    /// <param name="tokens">M.</param>
    public static DenseTile Choose(int multiprocessors, int rows, int columns, int tokens)
    {
        int stages = (columns + DenseTile.Columns - 1) / DenseTile.Columns;
        return Measured.MinBy(one => Rounds(one.Tile) * ((stages * one.Stage) + Epilogue)).Tile;

        int Rounds(DenseTile tile) => (tile.Tiles(tokens, rows) + multiprocessors - 1) / multiprocessors;
    }
}
