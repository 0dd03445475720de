// Y[t, N] = Sx * (S * sum_k xq * fp4(w) * 2^-k + B (A xq)) + bias with the constants of the row's expert: all experts in one launch, on FP8
// tensor cores, from weights packed one expert behind another.
//
// The rows of Y are sorted by expert (sorted_rows.cuh); an item of work is TOKENS of them or fewer with WARPGROUPS * 64 rows of their
// expert's weights. Persistent blocks walk over the items. One warp asks for weights in bulk; others copy each token from where it lies,
// 16 bytes a lane, into the tensor cores' layout, and what else the epilogue needs of it. What is multiplied how is as in w4a8_gemm.cu. A
// row's bits depend neither on its place in a tile nor on what the other rows are; with a branch they depend on how many there are, since
// another kernel takes A x of many.
//
// grid = (items at most, or fewer), WARPGROUPS math warpgroups, COPY_WARPS warps and one more. TOKENS, WARPGROUPS, COPY_WARPS, STAGES,
// MIN_CTAS, RANK_BRANCH (0/1), BIAS (0/1) and OUTPUT (a type of hopper.cuh) come from the host.
#include "hopper.cuh"
#include "wgmma.cuh"
#include "packed.cuh"
#include "sorted_rows.cuh"

constexpr int CLUSTER = 1;
constexpr int MathThreads = WARPGROUPS * 128;
constexpr int MathWarps = WARPGROUPS * 4;
constexpr int Threads = MathThreads + (COPY_WARPS + 1) * 32;
constexpr int Rows = WARPGROUPS * BlockRows;
constexpr int BoxBytes = TOKENS * 128;
constexpr int TokenBytes = 2 * BoxBytes;
constexpr int StageBytes = (TokenBytes + WARPGROUPS * BlockBytes + 1023) / 1024 * 1024;
constexpr int Accumulators = TOKENS / 2;
constexpr bool STAGED = false;
// The epilogue turns 16 rows of a warp around in shared memory, so many tokens at a time; a padded row of 20 floats a token.
constexpr int TurnTokens = TOKENS > 16 ? 16 : TOKENS;
constexpr int TurnStride = 20;
constexpr int TurnBytes = TurnTokens * TurnStride * 4;
// Half a warp copies a token's 256 columns.
constexpr int TokensOfLane = (TOKENS + 2 * COPY_WARPS - 1) / (2 * COPY_WARPS);
// Stages whose tokens are on their way before the first of them are waited for.
constexpr int TokenStages = STAGES > 4 ? 2 : 1;
static_assert(STAGES > TokenStages, "A stage is handed over when the next ones are copied, and these need room.");
// Items whose rows are noted at once: as many as have a stage in the ring, and the one that is finished.
constexpr int Notes = STAGES + 1;

struct GroupedArguments
{
    const u8* weights;      // packed blocks [experts][row tiles of 64][K blocks]
    const float* rowScales; // S * 2^-6 [experts][N padded to 64]
    const float* tokenScales; // Sx [M]
    const float* bias;      // [experts, N]
    const u16* lowRankB;    // float16 [experts, N, rank]
    const float* lowRankX;  // A xq, [T, rank]
    void* output;           // [T, N]
    const u8* codes;        // Xq [M, K]
    const long long* index; // [T], from the end where it is negative
    const int4* tiles;      // of sorted_rows.cuh; null where the blocks sort for themselves
    const int* order;
    int rank;
    int rows;               // N
    int rowBlocks;          // ceil(N / 64)
    int columnBlocks;       // ceil(K / 256)
    int columns;            // K
    int count;              // T
    int perToken;           // rows of Y that read one token
    int experts;
};

// What an expert has of a product of its own, by the names that the shared parts know.
typedef GroupedArguments GemmArguments;

#include "low_rank.cuh"
#include "ring.cuh"
#include "row_tile.cuh"

DEVICE GemmArguments of_expert(const GemmArguments& g, int expert)
{
    GemmArguments one = g;
    one.weights += (u64)expert * g.rowBlocks * g.columnBlocks * BlockBytes;
    one.rowScales += (u64)expert * g.rowBlocks * BlockRows;
    if (BIAS) one.bias += (u64)expert * g.rows;
    if (RANK_BRANCH) one.lowRankB += (u64)expert * g.rows * g.rank;
    return one;
}

// The rows of Y of an item, and the scales of their tokens, for the epilogue.
struct Note
{
    int row[TOKENS];
    float scale[TOKENS];
};

// What a copying warp has in its hands: the ring where it copies to, and the stages that are not complete yet.
struct Copies
{
    Ring ring, behind;
    int pending, note;
};

// The oldest stage that this warp copies to is complete: the tensor cores may read it.
DEVICE void complete_stage(Copies& copies, int lane)
{
    tensor_core_fence();
    __syncwarp();
    if (lane == 0) barrier_arrive(copies.behind.full_barrier());
    copies.behind.advance();
}

// All that a copying warp does for an item. Columns past K are zeros; rows past the item's are what was there before, and multiply into
// sums that nobody reads.
DEVICE void copy_item(const GemmArguments& g, const WorkItem& work, const int* order, Copies& copies, Note* notes, int warp, int lane)
{
    int row[TokensOfLane], source[TokensOfLane];
    int piece = lane & 15, place = warp * 2 + (lane >> 4);
#pragma unroll
    for (int i = 0; i < TokensOfLane; i++)
    {
        int local = i * 2 * COPY_WARPS + place;
        row[i] = local < work.count ? order[work.first + local] : -1;
    }
#pragma unroll
    for (int i = 0; i < TokensOfLane; i++) source[i] = row[i] / g.perToken;
    for (int block = 0; block < g.columnBlocks; block++, copies.ring.advance())
    {
        barrier_wait(copies.ring.empty_barrier(), copies.ring.parity);
        int column = block * BlockColumns + piece * 16;
        bool valid = column < g.columns;
        const u8* from = g.codes + (valid ? column : 0);
        u32 target = copies.ring.stage() + (piece >> 3) * BoxBytes;
#pragma unroll
        for (int i = 0; i < TokensOfLane; i++)
        {
            int local = i * 2 * COPY_WARPS + place;
            if (row[i] >= 0) copy_16(target + local * 128 + (((piece & 7) ^ (local & 7)) << 4), from + (u64)source[i] * g.columns, valid);
        }
        if (block == 0 && piece == 0)
        {
#pragma unroll
            for (int i = 0; i < TokensOfLane; i++)
            {
                if (row[i] < 0) continue;
                int local = i * 2 * COPY_WARPS + place;
                notes[copies.note].row[local] = row[i];
                copy_float(shared_address(&notes[copies.note].scale[local]), g.tokenScales + source[i], true);
            }
        }
        copies_commit();
        if (copies.pending == TokenStages)
        {
            copies_wait_but<TokenStages>();
            complete_stage(copies, lane);
        }
        else copies.pending++;
    }
    copies.note = copies.note + 1 == Notes ? 0 : copies.note + 1;
}

// A xq of the rows of an item.
struct ItemTokens
{
    const float* x;
    int rank;
    int rows[TOKENS / 8];
    DEVICE bool has(int i) const { return rows[i] >= 0; }
    DEVICE const float* of(int i) const { return x + (u64)rows[i] * rank; }
};

DEVICE void add_low_rank_of_item(const GemmArguments& g, int warpRow, int lane, const int* rows, int count, float (&total)[Accumulators])
{
    lane = keep_here(lane);
    ItemTokens tokens = { g.lowRankX + (lane & 3) * (g.rank >> 2), g.rank };
#pragma unroll
    for (int i = 0; i < TOKENS / 8; i++) tokens.rows[i] = i * 8 + (lane >> 2) < count ? rows[i * 8 + (lane >> 2)] : -1;
    add_low_rank_from_memory(g, warpRow, 0, lane, tokens, total);
}

// Writes a warp's 16 rows of W to the item's rows of Y.
DEVICE void store_item(const GemmArguments& g, u32 turn, const float* warpRows, int warpRow, int lane, const int* rows, const float* scales,
    int count, const float (&total)[Accumulators])
{
    lane = keep_here(lane);
    u32 place = turn + (lane & 3) * 2 * TurnStride * 4 + (lane >> 2) * 4;
    int pair = (lane & 7) * 2;
    float2 bias = BIAS ? *(const float2*)(warpRows + 16 + pair) : float2{ 0, 0 };
#pragma unroll
    for (int base = 0; base < TOKENS; base += TurnTokens)
    {
        if (base >= count) break;
#pragma unroll
        for (int i = 0; i < TurnTokens / 2; i++)
            store_shared(place + ((i >> 2) * 8 + (i & 1)) * TurnStride * 4 + ((i & 2) ? 32 : 0), total[base / 2 + i]);
        __syncwarp();
#pragma unroll
        for (int round = 0; round < TurnTokens / 4; round++)
        {
            int local = round * 4 + (lane >> 3), token = base + local;
            if (token >= count) continue;
            float scale = scales[token];
            float2 value = load_pair<1>(turn + (local * TurnStride + pair) * 4, 0);
            store_pair(g, rows[token], warpRow + pair, value.x * scale + bias.x, value.y * scale + bias.y);
        }
        __syncwarp();
    }
}

extern "C" __global__ void __launch_bounds__(Threads, MIN_CTAS)
grouped_gemm(const GroupedArguments g)
{
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ __align__(8) u64 barriers[2 * STAGES];
    __shared__ __align__(16) float rowValues[MathWarps][32];
    __shared__ __align__(16) int4 fewTiles[FewRows + 1];
    __shared__ int fewOrder[FewRows];
    __shared__ Note notes[Notes];

    u32 barrierBase = shared_address(barriers);
    Ring ring = { shared_address(shared), barrierBase, barrierBase + STAGES * 8, 0, 0 };
    int thread = threadIdx.x, lane = thread & 31;
    int warp = __shfl_sync(0xFFFFFFFFu, thread >> 5, 0); // known to be uniform

    launch_dependents();
    if (thread == MathThreads)
    {
        for (int i = 0; i < STAGES; i++)
        {
            barrier_init(ring.full + i * 8, COPY_WARPS + 1);
            barrier_init(ring.empty + i * 8, MathWarps);
        }
        barrier_init_fence();
    }
    wait_for_previous_grid();
    SortedRows sorted = { g.tiles, g.order };
    if (!g.tiles)
    {
        if (warp == 0) sort_few_rows(g.index, g.count, g.experts, lane, fewTiles, fewOrder);
        sorted = { fewTiles, fewOrder };
    }
    __syncthreads();
    int rowTiles = (g.rowBlocks + WARPGROUPS - 1) / WARPGROUPS;
    int items = sorted.tiles[0].x * rowTiles, step = gridDim.x;
    int4 entry = entry_of(sorted, blockIdx.x, items, rowTiles);

    if (warp > MathWarps)
    {
        Copies copies = { ring, ring, 0, 0 };
        copies.ring.parity = 1;
        for (int item = blockIdx.x; item < items; item += step)
        {
            WorkItem work = item_of(entry, item, rowTiles);
            entry = entry_of(sorted, item + step, items, rowTiles);
            if (work.expert < g.experts) copy_item(g, work, sorted.order, copies, notes, warp - MathWarps - 1, lane);
        }
        copies_wait();
        for (; copies.pending > 0; copies.pending--) complete_stage(copies, lane);
        return;
    }

    if (warp == MathWarps)
    {
        if (lane > 0) return;
        u64 policy = evict_first_policy();
        ring.parity = 1;
        for (int item = blockIdx.x; item < items; item += step)
        {
            WorkItem work = item_of(entry, item, rowTiles);
            entry = entry_of(sorted, item + step, items, rowTiles);
            if (work.expert >= g.experts) continue;
            GemmArguments layer = of_expert(g, work.expert);
            for (int block = 0; block < g.columnBlocks; block++, ring.advance())
            {
                barrier_wait(ring.empty_barrier(), ring.parity);
                load_weights<true>(layer, ring, work.rowTile, block, policy);
            }
        }
        return;
    }

    u32 turn = ring.stages + STAGES * StageBytes + warp * TurnBytes;
    int note = 0;
    for (int item = blockIdx.x; item < items; item += step)
    {
        WorkItem work = item_of(entry, item, rowTiles);
        entry = entry_of(sorted, item + step, items, rowTiles);
        bool exists = work.expert < g.experts;
        GemmArguments layer = of_expert(g, exists ? work.expert : 0);
        int warpRow = work.rowTile * Rows + warp * 16;
        fetch_rows(layer, shared_address(rowValues[warp]), warpRow, lane);

        float total[Accumulators];
#pragma unroll
        for (int i = 0; i < Accumulators; i++) total[i] = exists ? 0.0f : __int_as_float(0x7FC00000);
        for (int block = 0; block < g.columnBlocks && exists; block++, ring.advance())
        {
            barrier_wait(ring.full_barrier(), ring.parity);
            multiply_stage(ring.stage(), warp >> 2, thread & 127, total);
            __syncwarp();
            if (lane == 0) barrier_arrive(ring.empty_barrier());
        }

        copies_wait();
        __syncwarp();
        const int* rows = exists ? notes[note].row : sorted.order + work.first;
#pragma unroll
        for (int i = 0; i < Accumulators; i++) total[i] *= rowValues[warp][(lane >> 2) + ((i & 2) ? 8 : 0)];
        if (RANK_BRANCH) add_low_rank_of_item(layer, warpRow, lane, rows, work.count, total);
        store_item(layer, turn, rowValues[warp], warpRow, lane, rows, notes[note].scale, work.count, total);
        if (exists) note = note + 1 == Notes ? 0 : note + 1;
    }
}
