// A xq as project_tokens computes it, for any K: one warp a rank and token.
//
// grid = (tokens, ceil(rank / 8)), 256 threads; rank is a multiple of 8. INPUT (of the tokens) comes from the host.
#include "hopper.cuh"

extern "C" __global__ void __launch_bounds__(256)
project_simple(const void* tokens, const u16* lowRankA, float* lowRankX, int columns, int rank)
{
    wait_for_previous_grid();
    int token = blockIdx.x, row = blockIdx.y * 8 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    const u16* a = lowRankA + (u64)row * columns;
    float sum = 0.0f;
    for (int column = lane; column < columns; column += 32) sum += INPUT::load(tokens, (u64)token * columns + column) * half_to_float(a[column]);
    for (int offset = 16; offset; offset >>= 1) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, offset);
    if (lane == 0) lowRankX[(u64)token * rank + row] = sum;
}
