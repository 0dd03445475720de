// A xq by the first blocks of w4a8_gemm.cu's own grid, while the others multiply: it is needed only in their epilogue.
#pragma once

// Units of 32 columns that a warp takes, and of how many of them it asks for the tokens at once: while weights stream in, each
// round trip to memory takes a microsecond or two.
constexpr int ProjectionUnits = 8;
constexpr int ProjectionTiles = (TOKENS + 15) / 16;
constexpr int ProjectionBatch = ProjectionUnits / ProjectionTiles;
constexpr int ProjectionSums = 8;

DEVICE u32 load_acquire(const u32* address)
{
    u32 value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
    return value;
}

DEVICE u32 add_release(u32* address, u32 value)
{
    u32 old;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;" : "=r"(old) : "l"(address), "r"(value) : "memory");
    return old;
}

// Position, among the counters, of the number of blocks that need A xq no more.
constexpr int Leavers = 16;

// What the projection of the one token tile needs besides A xq itself: counters, and the parts to be added up.
struct ProjectionPlace
{
    u32* done;              // finished tiles of 8 ranks; behind it, for each of these, its finished parts
    float* parts;           // [splits][TOKENS][rank]
    int splits;
};

DEVICE ProjectionPlace projection_place(const GemmArguments& g)
{
    int splits = ((g.columns + 31) / 32 + ProjectionUnits - 1) / ProjectionUnits;
    return { g.counters, g.parts, splits };
}

// One warp: 8 ranks of all tokens of the tile over some of the columns. The last warp of these ranks adds up all parts, in
// their order, so that every run gives the same bits.
DEVICE void project(const GemmArguments& g, int item, int lane, int firstToken, int tokenEnd)
{
    ProjectionPlace place = projection_place(g);
    int ranks = item / place.splits, split = item - ranks * place.splits;
    if (ranks * 8 >= g.rank) return;
    // A sum does not care for the order of its terms: lane t of four takes columns 8 t .. 8 t + 7 of a unit, in both operands.
    const u16* a = g.lowRankA + (u64)(ranks * 8 + (lane >> 2)) * g.columns + (lane & 3) * 8;
    const u8* x = g.codes + (u64)firstToken * g.columns + (lane & 3) * 8;
    int begin = split * ProjectionUnits * 32;
    float sum[ProjectionTiles][4] = {};
    // A is constant: asked for before the previous kernel has ended.
    uint4 factor[ProjectionUnits];
#pragma unroll
    for (int unit = 0; unit < ProjectionUnits; unit++)
    {
        int column = begin + unit * 32;
        factor[unit] = column + (lane & 3) * 8 < g.columns ? *(const uint4*)(a + column) : uint4{ 0, 0, 0, 0 };
    }
    wait_for_previous_grid();
#pragma unroll
    for (int unit = 0; unit < ProjectionUnits; unit += ProjectionBatch)
    {
        uint2 token[ProjectionBatch][ProjectionTiles][2];
#pragma unroll
        for (int b = 0; b < ProjectionBatch; b++)
        {
            int column = begin + (unit + b) * 32;
            bool valid = column + (lane & 3) * 8 < g.columns;
#pragma unroll
            for (int t = 0; t < ProjectionTiles; t++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                {
                    int row = t * 16 + half * 8 + (lane >> 2);
                    token[b][t][half] = valid && firstToken + row < tokenEnd ? *(const uint2*)(x + (u64)row * g.columns + column) : uint2{ 0, 0 };
                }
        }
#pragma unroll
        for (int b = 0; b < ProjectionBatch; b++)
#pragma unroll
            for (int t = 0; t < ProjectionTiles; t++)
            {
                uint2 high = token[b][t][0], low = token[b][t][1];
                multiply_half(sum[t], to_half_pair(high.x), to_half_pair(low.x), to_half_pair(high.x >> 16), to_half_pair(low.x >> 16), factor[unit + b].x, factor[unit + b].y);
                multiply_half(sum[t], to_half_pair(high.y), to_half_pair(low.y), to_half_pair(high.y >> 16), to_half_pair(low.y >> 16), factor[unit + b].z, factor[unit + b].w);
            }
    }

    int row = lane >> 2, column = ranks * 8 + (lane & 3) * 2;
#pragma unroll
    for (int t = 0; t < ProjectionTiles; t++)
#pragma unroll
        for (int half = 0; half < 2; half++)
            if (t * 16 + half * 8 + row < TOKENS)
                *(float2*)(place.parts + ((u64)split * TOKENS + t * 16 + half * 8 + row) * g.rank + column) = float2{ sum[t][2 * half], sum[t][2 * half + 1] };
    __syncwarp();
    u32 before = 0;
    if (lane == 0) before = add_release(place.done + 1 + ranks, 1);
    before = __shfl_sync(0xFFFFFFFFu, before, 0);
    if ((int)before != place.splits - 1) return;
    __syncwarp();
    for (int i = lane; i < (tokenEnd - firstToken) * 4; i += 32)
    {
        int token = i >> 2, pair = ranks * 8 + (i & 3) * 2;
        float2 total = { 0, 0 };
        for (int first = 0; first < place.splits; first += ProjectionSums)
        {
            float2 part[ProjectionSums];
#pragma unroll
            for (int s = 0; s < ProjectionSums; s++)
                part[s] = first + s < place.splits ? load_pair_uncached(place.parts + ((u64)(first + s) * TOKENS + token) * g.rank + pair) : float2{ 0, 0 };
#pragma unroll
            for (int s = 0; s < ProjectionSums; s++)
            {
                total.x += part[s].x;
                total.y += part[s].y;
            }
        }
        *(float2*)(g.lowRankX + (u64)(firstToken + token) * g.rank + pair) = total;
    }
    __syncwarp();
    if (lane == 0) add_release(place.done, 1);
}

// Waits until A xq of the token tile is complete; it was begun before anything else.
DEVICE void wait_for_projection(const GemmArguments& g, int lane)
{
    if (g.projectors == 0) return;
    if (lane == 0)
    {
        const u32* done = projection_place(g).done;
        while ((int)load_acquire(done) < g.rank / 8) { }
    }
    __syncwarp();
}

// One thread a block, when all of its warps have waited: the last one leaves the counters at zero, as it found them.
DEVICE void leave_projection(const GemmArguments& g)
{
    if (g.projectors == 0) return;
    u32* counters = projection_place(g).done;
    u32 blocks = (gridDim.x - g.projectors) * gridDim.y;
    if (add_release(counters + Leavers, 1) != blocks - 1) return;
    for (int i = 0; i <= g.rank / 8; i++) counters[i] = 0;
    counters[Leavers] = 0;
}
