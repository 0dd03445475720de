// A x of every row's token with its expert's A: one warp a rank and row, for any K.
//
// grid = (rows of Y or fewer, ceil(rank / 8)), 256 threads; rank is a multiple of 8. INPUT (of the tokens) and RUN, the columns that a lane
// reads at once (8 where they divide K, or 1), come from the host.
#include "hopper.cuh"
#include "experts.cuh"

DEVICE float product_of_run(const void* tokens, u64 token, const u16* a)
{
    if (RUN == 1) return INPUT::load(tokens, token) * half_to_float(*a);
    uint4 loaded = *(const uint4*)a;
    u32 factors[4] = { loaded.x, loaded.y, loaded.z, loaded.w };
    uint2 codes = sizeof(INPUT::Storage) == 1 ? *(const uint2*)((const u8*)tokens + token) : uint2{ 0, 0 };
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 4; i++)
    {
        u32 low, high, x[2];
        from_half_pair(factors[i], low, high);
        if (sizeof(INPUT::Storage) == 1) from_half_pair(to_half_pair((i < 2 ? codes.x : codes.y) >> (i & 1) * 16), x[0], x[1]);
        else
            for (int j = 0; j < 2; j++) x[j] = __float_as_uint(INPUT::load(tokens, token + 2 * i + j));
        sum += __uint_as_float(x[0]) * __uint_as_float(low) + __uint_as_float(x[1]) * __uint_as_float(high);
    }
    return sum;
}

extern "C" __global__ void __launch_bounds__(256) project_experts(const ExpertArguments g)
{
    launch_dependents();
    wait_for_previous_grid();
    int columns = g.layer.columns, rank = blockIdx.y * 8 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    for (int row = blockIdx.x; row < g.layer.count; row += gridDim.x)
    {
        int expert = expert_of(g, row);
        if (expert < 0) continue;
        const u16* a = g.lowRankA + ((u64)expert * g.layer.rank + rank) * columns;
        u64 token = (u64)(row / g.perToken) * columns;
        float sum = 0.0f;
#pragma unroll 4
        for (int column = lane * RUN; column < columns; column += 32 * RUN) sum += product_of_run(g.layer.tokens, token + column, a + column);
        for (int offset = 16; offset; offset >>= 1) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, offset);
        if (lane == 0) g.projected[(u64)row * g.layer.rank + rank] = sum;
    }
}
