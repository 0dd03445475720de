// Y[M, N] = Sx * (S * sum_k x * w * 2^-k + B (A x)) + bias on float16 tensor cores, from unpacked weights: E4M3 or E2M1 codes with E4M3
// or float16 tokens. All of these are float16 numbers.
//
// grid = (ceil(N / 16), ceil(M / TOKENS)), 256 threads: 16 rows and TOKENS tokens a block, whose warps share the columns; their sums are
// added in the warps' order, so that every run gives the same bits. K is a multiple of 16; a group is a multiple of 64 columns, or all.
// TOKENS (8, 16, 32), INPUT (Fp8 or Float16), WEIGHT_BITS (4, 8) and OUTPUT come from the host.
#include "hopper.cuh"
#include "half_products.cuh"
#include "simple_arguments.cuh"
#include "weight_values.cuh"

constexpr int Warps = 8;
constexpr int Tiles = TOKENS / 8;
constexpr int Unit = 64;            // columns of a step: 16 a lane
constexpr bool Fp8Tokens = sizeof(INPUT::Storage) == 1;

// Sixteen consecutive columns of a row, as eight pairs of halves.
struct Pairs
{
    u32 pair[8];
    DEVICE void clear()
    {
#pragma unroll
        for (int i = 0; i < 8; i++) pair[i] = 0;
    }
    DEVICE void from_fp8(const u8* from)
    {
        uint4 loaded = *(const uint4*)from;
        u32 words[4] = { loaded.x, loaded.y, loaded.z, loaded.w };
#pragma unroll
        for (int i = 0; i < 8; i++) pair[i] = to_half_pair(words[i >> 1] >> (16 * (i & 1)));
    }
    // 2^-14 times the values.
    DEVICE void from_fp4(const u8* from)
    {
        uint2 loaded = *(const uint2*)from;
        u32 words[2] = { loaded.x, loaded.y };
#pragma unroll
        for (int i = 0; i < 8; i++) pair[i] = e2m1_half_pair(words[i >> 2] >> (8 * (i & 3)));
    }
    DEVICE void from_halves(const u16* from)
    {
#pragma unroll
        for (int i = 0; i < 2; i++)
        {
            uint4 loaded = ((const uint4*)from)[i];
            pair[4 * i] = loaded.x;
            pair[4 * i + 1] = loaded.y;
            pair[4 * i + 2] = loaded.z;
            pair[4 * i + 3] = loaded.w;
        }
    }
};

DEVICE void load_weights(Pairs& pairs, const SimpleArguments& g, int row, int column)
{
    if (row >= g.rows || column >= g.columns) { pairs.clear(); return; }
    u64 index = (u64)row * g.columns + column;
    if (WEIGHT_BITS == 8) pairs.from_fp8(g.codes + index);
    else pairs.from_fp4(g.codes + index / 2);
}

DEVICE void load_tokens(Pairs& pairs, const SimpleArguments& g, int token, int column)
{
    if (token >= g.count || column >= g.columns) { pairs.clear(); return; }
    u64 index = (u64)token * g.columns + column;
    if (Fp8Tokens) pairs.from_fp8((const u8*)g.tokens + index);
    else pairs.from_halves((const u16*)g.tokens + index);
}

extern "C" __global__ void __launch_bounds__(Warps * 32) half_gemm(const SimpleArguments g)
{
    __shared__ float parts[Warps][16][TOKENS + 1];
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int firstRow = blockIdx.x * 16, firstToken = blockIdx.y * TOKENS;
    int upper = firstRow + (lane >> 2), lower = upper + 8, inUnit = (lane & 3) * 16;
    int units = (g.columns + Unit - 1) / Unit, groups = (g.columns + g.group - 1) / g.group;
    int begin = units * warp / Warps, end = units * (warp + 1) / Warps;
    const u8* exponents = (const u8*)g.groupScales;
    float total[Tiles][4] = {}, sum[Tiles][4] = {};
    launch_dependents();
    wait_for_previous_grid();
#pragma unroll 2
    for (int unit = begin; unit < end; unit++)
    {
        int column = unit * Unit + inUnit;
        Pairs high, low, tokens[Tiles];
        load_weights(high, g, upper, column);
        load_weights(low, g, lower, column);
#pragma unroll
        for (int t = 0; t < Tiles; t++) load_tokens(tokens[t], g, firstToken + t * 8 + (lane >> 2), column);
#pragma unroll
        for (int t = 0; t < Tiles; t++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                multiply_half(sum[t], high.pair[2 * j], low.pair[2 * j], high.pair[2 * j + 1], low.pair[2 * j + 1], tokens[t].pair[2 * j], tokens[t].pair[2 * j + 1]);
        int group = unit * Unit / g.group;
        if (unit + 1 < end && (unit + 1) * Unit / g.group == group) continue;
        float upperScale = upper < g.rows ? __int_as_float((127 - (int)exponents[(u64)upper * groups + group]) << 23) : 0.0f;
        float lowerScale = lower < g.rows ? __int_as_float((127 - (int)exponents[(u64)lower * groups + group]) << 23) : 0.0f;
#pragma unroll
        for (int t = 0; t < Tiles; t++)
#pragma unroll
            for (int i = 0; i < 4; i++)
            {
                total[t][i] += sum[t][i] * (i & 2 ? lowerScale : upperScale);
                sum[t][i] = 0.0f;
            }
    }
#pragma unroll
    for (int t = 0; t < Tiles; t++)
#pragma unroll
        for (int i = 0; i < 4; i++) parts[warp][(lane >> 2) + (i & 2 ? 8 : 0)][t * 8 + (lane & 3) * 2 + (i & 1)] = total[t][i];
    __syncthreads();
    for (int i = threadIdx.x; i < 16 * TOKENS; i += Warps * 32)
    {
        int row = firstRow + (i & 15), token = firstToken + (i >> 4);
        if (row >= g.rows || token >= g.count) continue;
        float value = 0.0f;
#pragma unroll
        for (int w = 0; w < Warps; w++) value += parts[w][i & 15][i >> 4];
        value *= g.rowScales[row] * (WEIGHT_BITS == 4 ? 16384.0f : 1.0f);
        for (int r = 0; r < g.rank; r++)
            value += half_to_float(g.lowRankB[(u64)row * g.rank + r]) * g.lowRankX[(u64)token * g.rank + r];
        OUTPUT::store(g.output, (u64)token * g.rows + row,
            value * (g.tokenScales ? g.tokenScales[token] : 1.0f) + (g.bias ? g.bias[row] : 0.0f));
    }
}
