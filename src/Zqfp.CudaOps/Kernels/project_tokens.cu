// A xq of tokens that are quantized already: [M, K] x [rank, K] -> [M, rank], on tensor cores.
//
// grid = (ceil(M / 16), rank / 8), 512 threads; rank and K are multiples of 8. Each warp takes a part of the columns of 16 tokens and 8
// ranks; the parts are added in the warps' order, so that every run gives the same bits.
#include "hopper.cuh"
#include "half_products.cuh"

constexpr int Warps = 16;
constexpr int Batch = 4;    // units of 32 columns asked for at once

extern "C" __global__ void __launch_bounds__(Warps * 32)
project_tokens(const u8* tokens, const u16* lowRankA, float* lowRankX, int count, int columns, int rank)
{
    __shared__ float parts[Warps][16][8];
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int firstToken = blockIdx.x * 16, firstRank = blockIdx.y * 8;
    launch_dependents();
    int units = (columns + 31) / 32;
    int end = units * (warp + 1) / Warps;
    // A sum does not care for the order of its terms: lane t of four takes columns 8 t .. 8 t + 7 of a unit, in both operands.
    int inUnit = (lane & 3) * 8, row = firstToken + (lane >> 2);
    const u16* a = lowRankA + (u64)(firstRank + (lane >> 2)) * columns + inUnit;
    const u8* x = tokens + (u64)row * columns + inUnit;
    float sum[4] = {};
    bool waited = false;
    for (int unit = units * warp / Warps; unit < end; unit += Batch)
    {
        uint4 factor[Batch];
        uint2 high[Batch], low[Batch];
#pragma unroll
        for (int b = 0; b < Batch; b++)
            factor[b] = unit + b < end && (unit + b) * 32 + inUnit < columns ? *(const uint4*)(a + (unit + b) * 32) : uint4{ 0, 0, 0, 0 };
        // A is constant: its first part is asked for before the previous kernel has ended.
        if (!waited) wait_for_previous_grid();
        waited = true;
#pragma unroll
        for (int b = 0; b < Batch; b++)
        {
            bool valid = unit + b < end && (unit + b) * 32 + inUnit < columns;
            high[b] = valid && row < count ? *(const uint2*)(x + (unit + b) * 32) : uint2{ 0, 0 };
            low[b] = valid && row + 8 < count ? *(const uint2*)(x + (u64)8 * columns + (unit + b) * 32) : uint2{ 0, 0 };
        }
#pragma unroll
        for (int b = 0; b < Batch; b++)
        {
            multiply_half(sum, to_half_pair(high[b].x), to_half_pair(low[b].x), to_half_pair(high[b].x >> 16), to_half_pair(low[b].x >> 16), factor[b].x, factor[b].y);
            multiply_half(sum, to_half_pair(high[b].y), to_half_pair(low[b].y), to_half_pair(high[b].y >> 16), to_half_pair(low[b].y >> 16), factor[b].z, factor[b].w);
        }
    }
    if (!waited) wait_for_previous_grid();
#pragma unroll
    for (int i = 0; i < 4; i++) parts[warp][(lane >> 2) + (i & 2 ? 8 : 0)][(lane & 3) * 2 + (i & 1)] = sum[i];
    __syncthreads();
    int token = threadIdx.x >> 3, of = threadIdx.x & 7;
    if (threadIdx.x >= 128 || firstToken + token >= count) return;
    float total = 0.0f;
#pragma unroll
    for (int w = 0; w < Warps; w++) total += parts[w][token][of];
    lowRankX[(u64)(firstToken + token) * rank + firstRank + of] = total;
}
