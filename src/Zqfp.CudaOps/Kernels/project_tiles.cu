// A x of every row's token with its expert's A, where the rows are sorted by expert (sorted_rows.cuh): A is read once for 16 rows.
//
// grid = (tiles at most times the sixteens of a tile, rank / 8), 512 threads; rank and K are multiples of 8. Each warp takes a part of the
// columns of 16 rows and 8 ranks; the parts are added in the warps' order, so that every run gives the same bits. TOKENS comes from the host.
#include "hopper.cuh"
#include "half_products.cuh"
#include "sorted_rows.cuh"

constexpr int Warps = 16;
constexpr int Batch = 4;    // units of 32 columns asked for at once
constexpr int Parts = TOKENS > 16 ? TOKENS / 16 : 1;

extern "C" __global__ void __launch_bounds__(Warps * 32)
project_tiles(const u8* tokens, const u16* lowRankA, float* lowRankX, const int4* tiles, const int* order, int columns, int rank, int perToken, int experts)
{
    __shared__ float parts[Warps][16][8];
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    launch_dependents();
    wait_for_previous_grid();
    int tile = blockIdx.x / Parts;
    if (tile >= tiles[0].x) return;
    int4 entry = tiles[1 + tile];
    int skipped = (tile - entry.w) * TOKENS, part = blockIdx.x % Parts * 16;
    int left = (entry.z - skipped < TOKENS ? entry.z - skipped : TOKENS) - part;
    if (left <= 0 || entry.x >= experts) return;
    const int* rows = order + entry.y + skipped + part;
    int firstRank = blockIdx.y * 8, units = (columns + 31) / 32, end = units * (warp + 1) / Warps;
    // A sum does not care for the order of its terms: lane t of four takes columns 8 t .. 8 t + 7 of a unit, in both operands.
    int inUnit = (lane & 3) * 8, local = lane >> 2;
    const u16* a = lowRankA + ((u64)entry.x * rank + firstRank + local) * columns + inUnit;
    const u8* highX = tokens + (u64)(local < left ? rows[local] / perToken : 0) * columns + inUnit;
    const u8* lowX = tokens + (u64)(local + 8 < left ? rows[local + 8] / perToken : 0) * columns + inUnit;
    float sum[4] = {};
    for (int unit = units * warp / Warps; unit < end; unit += Batch)
    {
        uint4 factor[Batch];
        uint2 high[Batch], low[Batch];
#pragma unroll
        for (int b = 0; b < Batch; b++)
        {
            int column = (unit + b) * 32;
            bool valid = unit + b < end && column + inUnit < columns;
            factor[b] = valid ? *(const uint4*)(a + column) : uint4{ 0, 0, 0, 0 };
            high[b] = valid ? *(const uint2*)(highX + column) : uint2{ 0, 0 };
            low[b] = valid ? *(const uint2*)(lowX + column) : uint2{ 0, 0 };
        }
#pragma unroll
        for (int b = 0; b < Batch; b++)
        {
            multiply_half(sum, to_half_pair(high[b].x), to_half_pair(low[b].x), to_half_pair(high[b].x >> 16), to_half_pair(low[b].x >> 16), factor[b].x, factor[b].y);
            multiply_half(sum, to_half_pair(high[b].y), to_half_pair(low[b].y), to_half_pair(high[b].y >> 16), to_half_pair(low[b].y >> 16), factor[b].z, factor[b].w);
        }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) parts[warp][local + (i & 2 ? 8 : 0)][(lane & 3) * 2 + (i & 1)] = sum[i];
    __syncthreads();
    int row = threadIdx.x >> 3, of = threadIdx.x & 7;
    if (threadIdx.x >= 128 || row >= left) return;
    float total = 0.0f;
#pragma unroll
    for (int w = 0; w < Warps; w++) total += parts[w][row][of];
    lowRankX[(u64)rows[row] * rank + firstRank + of] = total;
}
