// Y[t, N] = Sx * (S * sum_k x * w * 2^-k + B (A x)) + bias with the constants of the row's expert: one warp an output. As fast as weights
// are read where each expert has a few tokens, as while text is generated; more tokens of an expert read its weights again, from the cache.
//
// grid = (ceil(N / 8), rows of Y or fewer), 256 threads. Runs of 16 columns are read at once where WHOLE says that K and the group are
// multiples of 16. SCALED, WHOLE, INPUT (of the tokens), WEIGHT_BITS (4, 8) and OUTPUT come from the host.
#include "hopper.cuh"
#include "half_products.cuh"
#include "experts.cuh"
#include "weight_values.cuh"

constexpr int Run = WHOLE ? 16 : 1;

DEVICE void unpack(u32 pair, float (&values)[16], int i)
{
    u32 low, high;
    from_half_pair(pair, low, high);
    values[i] = __uint_as_float(low);
    values[i + 1] = __uint_as_float(high);
}

// Sixteen consecutive weights, those of 4 bits times 2^-14.
DEVICE void load_weights(const u8* codes, int column, float (&values)[16])
{
    if (WEIGHT_BITS == 8)
    {
        uint4 loaded = *(const uint4*)(codes + column);
        u32 words[4] = { loaded.x, loaded.y, loaded.z, loaded.w };
#pragma unroll
        for (int i = 0; i < 8; i++) unpack(to_half_pair(words[i >> 1] >> (16 * (i & 1))), values, 2 * i);
        return;
    }
    uint2 loaded = *(const uint2*)(codes + column / 2);
    u32 words[2] = { loaded.x, loaded.y };
#pragma unroll
    for (int i = 0; i < 8; i++) unpack(e2m1_half_pair(words[i >> 2] >> (8 * (i & 3))), values, 2 * i);
}

DEVICE void load_tokens(const void* tokens, u64 index, float (&values)[16])
{
    if (sizeof(INPUT::Storage) == 1)
    {
        uint4 loaded = *(const uint4*)((const u8*)tokens + index);
        u32 words[4] = { loaded.x, loaded.y, loaded.z, loaded.w };
#pragma unroll
        for (int i = 0; i < 8; i++) unpack(to_half_pair(words[i >> 1] >> (16 * (i & 1))), values, 2 * i);
        return;
    }
#pragma unroll
    for (int i = 0; i < 16; i++) values[i] = INPUT::load(tokens, index + i);
}

extern "C" __global__ void __launch_bounds__(256) expert_gemm(const ExpertArguments arguments)
{
    launch_dependents();
    wait_for_previous_grid();
    const SimpleArguments& g = arguments.layer;
    int row = blockIdx.x * 8 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    if (row >= g.rows) return;
    int groups = (g.columns + g.group - 1) / g.group;
    for (int t = blockIdx.y; t < g.count; t += gridDim.y)
    {
        int expert = expert_of(arguments, t);
        u64 place = (u64)(expert < 0 ? 0 : expert) * g.rows + row;
        const u8* codes = g.codes + place * (WEIGHT_BITS == 8 ? g.columns : (g.columns + 1) / 2);
        u64 token = t / arguments.perToken;
        float sum = 0.0f;
        for (int column = lane * Run; column < g.columns; column += 32 * Run)
        {
            u64 group = place * groups + column / g.group;
            float scale = SCALED ? ((const float*)g.groupScales)[group]
                : __int_as_float((127 - (int)((const u8*)g.groupScales)[group]) << 23);
            if (WHOLE)
            {
                float weights[16], values[16], part = 0.0f;
                load_weights(codes, column, weights);
                load_tokens(g.tokens, token * g.columns + column, values);
#pragma unroll
                for (int i = 0; i < 16; i++) part += weights[i] * values[i];
                sum += scale * part;
                continue;
            }
            float weight = WEIGHT_BITS == 8 ? from_e4m3(codes[column]) : e2m1((codes[column >> 1] >> (4 * (column & 1))) & 15);
            sum += scale * weight * INPUT::load(g.tokens, token * g.columns + column);
        }
        if (WHOLE && WEIGHT_BITS == 4) sum *= 16384.0f;
        if (!SCALED) sum *= g.rowScales[place];
        for (int r = lane; r < g.rank; r += 32)
            sum += half_to_float(g.lowRankB[place * g.rank + r]) * arguments.projected[(u64)t * g.rank + r];
        for (int offset = 16; offset; offset >>= 1) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, offset);
        if (lane != 0) continue;
        float result = sum * (g.tokenScales ? g.tokenScales[token] : 1.0f) + (g.bias ? g.bias[place] : 0.0f);
        OUTPUT::store(g.output, (u64)t * g.rows + row, expert < 0 ? __int_as_float(0x7FC00000) : result);
    }
}
