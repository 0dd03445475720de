// Second half of the two-pass prefill path, for what the library product leaves out: Y += Sx * B (A xq) (+ bias).
//
// grid = (ceil(N / 128), ceil(M / 8)), 128 threads, one row of W each. BIAS, RANK_BRANCH, OUTPUT come from the host.
#include "hopper.cuh"

constexpr int TokensPerBlock = 8;

extern "C" __global__ void __launch_bounds__(128)
epilogue(void* output, const float* tokenScales, const float* bias, const u16* lowRankB, const float* lowRankX,
    int rank, int tokens, int rows)
{
    wait_for_previous_grid();
    int row = blockIdx.x * 128 + threadIdx.x, firstToken = blockIdx.y * TokensPerBlock;
    if (row >= rows) return;
    float sum[TokensPerBlock] = {};
    if (RANK_BRANCH)
        for (int r = 0; r < rank; r += 8)
        {
            uint4 packed = *(const uint4*)(lowRankB + (u64)row * rank + r);
            u32 words[4] = { packed.x, packed.y, packed.z, packed.w };
            float factor[8];
#pragma unroll
            for (int i = 0; i < 8; i++) factor[i] = half_to_float((u16)(words[i >> 1] >> (16 * (i & 1))));
#pragma unroll
            for (int t = 0; t < TokensPerBlock; t++)
            {
                if (firstToken + t >= tokens) continue;
                const float* x = lowRankX + (u64)(firstToken + t) * rank + r;
#pragma unroll
                for (int i = 0; i < 8; i++) sum[t] += factor[i] * x[i];
            }
        }
    float shift = BIAS ? bias[row] : 0.0f;
#pragma unroll
    for (int t = 0; t < TokensPerBlock; t++)
    {
        int token = firstToken + t;
        if (token >= tokens) continue;
        u64 index = (u64)token * rows + row;
        OUTPUT::store(output, index, OUTPUT::load(output, index) + sum[t] * tokenScales[token] + shift);
    }
}
