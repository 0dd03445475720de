namespace Zqfp.CudaOps;

/// <summary>Which tile the product for experts on Hopper runs with (docs/hopper.md).</summary>
internal static class GroupedTuning
{
    /// <summary>Rows of Y of an item, from narrow to wide.</summary>
    public static IReadOnlyList<int> Widths { get; } = [8, 16, 32, 64];

    // Only the device knows how many rows each expert has, and a router gives some of them many more than the average. A width serves up to
    // so many rows an expert on average.
    private static readonly int[] MostOnAverage = [4, 8, 40, int.MaxValue];

    /// <summary>The width for a call.</summary>
    /// <param name="count">Rows of Y.</param>
    /// <param name="experts">Experts.</param>
    public static int WidthOf(int count, int experts) => Widths[PlaceOf(count, experts)];

    /// <summary>The place of that width among <see cref="Widths"/>.</summary>
    public static int PlaceOf(int count, int experts)
    {
        int place = 0;
        while ((long)MostOnAverage[place] * experts < count)
        {
            place++;
        }

        return place;
    }

    /// <summary>The tile of a width.</summary>
    /// <param name="layout">The weight of one expert.</param>
    /// <param name="width">One of <see cref="Widths"/>.</param>
    /// <param name="sharedPerBlock">Largest dynamic shared memory of a block, in bytes.</param>
    public static GroupedTile Choose(PackedLayout layout, int width, int sharedPerBlock)
    {
        GroupedTile tile = width switch
        {
            8 => new GroupedTile(width, 2, 1, 1, 2),
            16 => new GroupedTile(width, 2, 2, 1, 2),
            _ => new GroupedTile(width, 2, 4, 1, 1),
        };
        return tile.WithDeepestRing(layout, sharedPerBlock);
    }
}
