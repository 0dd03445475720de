// A x of every row's token with its expert's A: one warp a rank and row, for any K.
//
// grid = (rows of Y or fewer, ceil(rank / 8)), 256 threads; rank is a multiple of 8. INPUT (of the tokens) comes from the host.
#include "hopper.cuh"
#include "experts.cuh"

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
        for (int column = lane; column < columns; column += 32) sum += INPUT::load(g.layer.tokens, token + column) * half_to_float(a[column]);
        for (int offset = 16; offset; offset >>= 1) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, offset);
        if (lane == 0) g.projected[(u64)row * g.layer.rank + rank] = sum;
    }
}
