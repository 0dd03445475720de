// The same product as w4a8_gemm, one warp per output, from unpacked codes: any K, any group size, any
// exponent. Serves shapes the fast kernels leave out, and judges them where SUM is double.
//
// grid = (ceil(N / 8), M), 256 threads. SCALED, SUM (float or double), OUTPUT, INPUT (of the tokens; Fp8 unless said) and WEIGHT_BITS (4
// unless said, or 8) come from the host.
#include "hopper.cuh"
#include "simple_arguments.cuh"
#include "weight_values.cuh"

#ifndef INPUT
#define INPUT Fp8
#define WEIGHT_BITS 4
#endif

extern "C" __global__ void __launch_bounds__(256) simple_gemm(const SimpleArguments g)
{
    wait_for_previous_grid();
    int row = blockIdx.x * 8 + (threadIdx.x >> 5), token = blockIdx.y, lane = threadIdx.x & 31;
    if (row >= g.rows) return;
    int groups = (g.columns + g.group - 1) / g.group;
    const u8* codes = g.codes + (u64)row * (WEIGHT_BITS == 8 ? g.columns : (g.columns + 1) / 2);
    SUM sum = 0;
    for (int column = lane; column < g.columns; column += 32)
    {
        u64 group = (u64)row * groups + column / g.group;
        SUM scale = SCALED ? (SUM)((const float*)g.groupScales)[group]
            : (SUM)__int_as_float((127 - (int)((const u8*)g.groupScales)[group]) << 23);
        float weight = WEIGHT_BITS == 8 ? from_e4m3(codes[column]) : e2m1((codes[column >> 1] >> (4 * (column & 1))) & 15);
        sum += scale * (SUM)weight * (SUM)INPUT::load(g.tokens, (u64)token * g.columns + column);
    }
    if (!SCALED) sum *= (SUM)g.rowScales[row];
    for (int r = lane; r < g.rank; r += 32)
        sum += (SUM)half_to_float(g.lowRankB[(u64)row * g.rank + r]) * (SUM)g.lowRankX[(u64)token * g.rank + r];
    for (int offset = 16; offset; offset >>= 1) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, offset);
    if (lane == 0)
        OUTPUT::store(g.output, (u64)token * g.rows + row,
            (float)(sum * (SUM)(g.tokenScales ? g.tokenScales[token] : 1.0f) + (g.bias ? (SUM)g.bias[row] : (SUM)0)));
}
