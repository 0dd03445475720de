using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>
/// How rows of X are divided for the inner loops: into tiles of three units and, where that leaves a rest, of two, or one that is alone. A
/// tile's rows lie interleaved, a column of all of them after another, so that it is read from front to back. Rows that only fill up the
/// last unit are zero.
/// </summary>
/// <param name="count">Rows, at least one.</param>
/// <param name="unit">Rows of a unit, an even number.</param>
internal readonly struct RowTiles(int count, int unit)
{
    private readonly int _unit = unit;

    private readonly int _units = (count + unit - 1) / unit;

    /// <summary>Rows, filled up.</summary>
    public int Rows => _units * _unit;

    /// <summary>Rows of tiles of three units, which come first.</summary>
    public int LargeRows => (_units % 3 == 1 ? Math.Max(_units - 4, 0) : _units) / 3 * 3 * _unit;

    /// <summary>Rows of each tile that follows.</summary>
    public int SmallTile => _units == 1 ? _unit : 2 * _unit;

    /// <summary>Rows that are written at once.</summary>
    public int WriteRows => Sse.IsSupported && _unit % 4 == 0 ? 4 : 2;

    /// <summary>The tile that has a row: its first row, and how many it has.</summary>
    public (int First, int Rows) Of(int row)
    {
        int large = LargeRows, rows = row < large ? 3 * _unit : SmallTile, before = row < large ? 0 : large;
        return (before + ((row - before) / rows * rows), rows);
    }

    /// <summary>Writes columns of <see cref="WriteRows"/> rows that follow each other into their tile.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="stride">From one to the next.</param>
    /// <param name="columns">How many columns, a multiple of 4.</param>
    /// <param name="place">The first row's place in the tile's first column.</param>
    /// <param name="tileRows">Rows of the tile.</param>
    [MethodImpl(HotLoop.Options)]
    public unsafe void Write(float* rows, int stride, int columns, float* place, int tileRows)
    {
        if (WriteRows == 2)
        {
            Write(rows, rows + stride, columns, place, tileRows);
            return;
        }

        for (int column = 0; column < columns; column += 4, rows += 4, place += 4 * tileRows)
        {
            Vector128<float> first = Vector128.Load(rows), second = Vector128.Load(rows + stride);
            Vector128<float> third = Vector128.Load(rows + (2 * stride)), fourth = Vector128.Load(rows + (3 * stride));
            Vector128<float> low = Sse.UnpackLow(first, second), high = Sse.UnpackHigh(first, second);
            Vector128<float> low2 = Sse.UnpackLow(third, fourth), high2 = Sse.UnpackHigh(third, fourth);
            Sse.MoveLowToHigh(low, low2).Store(place);
            Sse.MoveHighToLow(low2, low).Store(place + tileRows);
            Sse.MoveLowToHigh(high, high2).Store(place + (2 * tileRows));
            Sse.MoveHighToLow(high2, high).Store(place + (3 * tileRows));
        }
    }

    /// <summary>Writes columns of two rows that follow each other into their tile.</summary>
    /// <param name="even">The first row, of an even number.</param>
    /// <param name="odd">The second.</param>
    /// <param name="columns">How many columns.</param>
    /// <param name="place">The first row's place in the tile's first column.</param>
    /// <param name="tileRows">Rows of the tile.</param>
    [MethodImpl(HotLoop.Options)]
    public static unsafe void Write(float* even, float* odd, int columns, float* place, int tileRows)
    {
        const ulong Second = 0xFFFFFFFF00000000;
        int column = 0;
        for (; column <= columns - 2; column += 2, place += 2 * tileRows)
        {
            // Two columns at a time, of both rows: half the stores.
            ulong first = *(ulong*)(even + column), second = *(ulong*)(odd + column);
            *(ulong*)place = (uint)first | (second << 32);
            *(ulong*)(place + tileRows) = (first >> 32) | (second & Second);
        }

        if (column < columns)
        {
            (place[0], place[1]) = (even[column], odd[column]);
        }
    }
}
