// Rows of Y sorted by expert, for grouped_gemm.cu. Rows of one expert keep their order, so all blocks that sort for themselves find the same.
#pragma once

// A tile is TOKENS rows of an expert or fewer. Every tile of an expert has the same entry: { the expert, the place of the expert's first
// row in the order, how many rows it has, its first tile }. Rows that name no expert are those of one behind the last. The first entry is
// no tile: it begins with the number of tiles.
struct SortedRows
{
    const int4* tiles;
    const int* order;       // rows of Y by place
};

// The number of experts where the index names none.
DEVICE int expert_of(long long index, int experts)
{
    if (index < 0) index += experts;
    return index < 0 || index >= experts ? experts : (int)index;
}

constexpr int FewRows = 32;

// One warp sorts up to 32 rows, one a lane.
DEVICE void sort_few_rows(const long long* index, int count, int experts, int lane, int4* tiles, int* order)
{
    int expert = lane < count ? expert_of(index[lane], experts) : experts + 1;
    int before = 0, same = 0, rank = 0, firstTile = 0;
#pragma unroll 8
    for (int i = 0; i < FewRows; i++)
    {
        int other = __shfl_sync(0xFFFFFFFFu, expert, i);
        before += other < expert;
        same += other == expert;
        rank += other == expert && i < lane;
    }
    bool starts = lane < count && rank % TOKENS == 0;
    u32 all = __ballot_sync(0xFFFFFFFFu, starts);
#pragma unroll 8
    for (int i = 0; i < FewRows; i++)
        firstTile += __shfl_sync(0xFFFFFFFFu, expert, i) < expert && (all >> i & 1);
    if (lane < count) order[before + rank] = lane;
    if (starts) tiles[1 + firstTile + rank / TOKENS] = int4{ expert, before, same, firstTile };
    if (lane == 0) tiles[0].x = __popc(all);
}

// A tile of rows of W with a tile of rows of Y.
struct WorkItem
{
    int expert;
    int first, count;       // places of its rows of Y
    int rowTile;
};

// The entry of a tile that is of the item's expert; asked for long before it is needed.
DEVICE int4 entry_of(const SortedRows& sorted, int item, int items, int rowTiles)
{
    return item < items ? sorted.tiles[1 + item / rowTiles] : int4{ 0, 0, 0, 0 };
}

// Items of an expert follow each other, and in these the tiles of Y that read the same rows of W: they come from memory once.
DEVICE WorkItem item_of(int4 entry, int item, int rowTiles)
{
    int local = item - entry.w * rowTiles, tiles = (entry.z + TOKENS - 1) / TOKENS;
    int rowTile = local / tiles, skipped = (local - rowTile * tiles) * TOKENS, left = entry.z - skipped;
    return { entry.x, entry.y + skipped, left < TOKENS ? left : TOKENS, rowTile };
}
