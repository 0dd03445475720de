// Xq = e4m3(x / Sx), Sx = max|x| / 448 per token (1 for an all-zero token), and, where the layer has a low-rank
// branch, its first product A xq in the same pass.
//
// grid = (tokens, max(1, ranks / 8)), 256 threads: every CTA of a token finds the same Sx, the first of them writes
// Xq, and each computes eight ranks. INPUT (a type of hopper.cuh) comes from the host.
#include "hopper.cuh"

constexpr int Threads = 256;
constexpr int Warps = Threads / 32;
constexpr float E4M3Max = 448.0f;

DEVICE float warp_max(float value)
{
#pragma unroll
    for (int offset = 16; offset; offset >>= 1) value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFu, value, offset));
    return value;
}

DEVICE float warp_sum(float value)
{
#pragma unroll
    for (int offset = 16; offset; offset >>= 1) value += __shfl_xor_sync(0xFFFFFFFFu, value, offset);
    return value;
}

// Eight consecutive inputs; `column` is a multiple of 8 and rows are aligned to 16 bytes.
DEVICE void load8(const float* row, int column, float (&x)[8])
{
    float4 a = *(const float4*)(row + column), b = *(const float4*)(row + column + 4);
    x[0] = a.x; x[1] = a.y; x[2] = a.z; x[3] = a.w; x[4] = b.x; x[5] = b.y; x[6] = b.z; x[7] = b.w;
}

DEVICE void load8(const u16* row, int column, float (&x)[8])
{
    uint4 packed = *(const uint4*)(row + column);
    u32 words[4] = { packed.x, packed.y, packed.z, packed.w };
#pragma unroll
    for (int i = 0; i < 8; i++)
    {
        u16 bits = (u16)(words[i >> 1] >> (16 * (i & 1)));
        x[i] = INPUT::load(&bits, 0);
    }
}

extern "C" __global__ void __launch_bounds__(Threads)
quantize_tokens(const void* input, u8* output, float* scales, const u16* lowRankA, float* lowRankX, int columns, int rank)
{
    __shared__ float shared[8 * Warps];
    int token = blockIdx.x, firstRank = blockIdx.y * 8, thread = threadIdx.x;
    const INPUT::Storage* row = (const INPUT::Storage*)input + (u64)token * columns;

    launch_dependents();
    wait_for_previous_grid();

    float largest = 0.0f, x[8];
    for (int column = thread * 8; column < columns; column += Threads * 8)
    {
        load8(row, column, x);
#pragma unroll
        for (int i = 0; i < 8; i++) largest = fmaxf(largest, fabsf(x[i]));
    }
    largest = warp_max(largest);
    if ((thread & 31) == 0) shared[thread >> 5] = largest;
    __syncthreads();
    largest = shared[0];
#pragma unroll
    for (int w = 1; w < Warps; w++) largest = fmaxf(largest, shared[w]);
    __syncthreads();
    float scale = largest > 0.0f ? __fdiv_rn(largest, E4M3Max) : 1.0f;

    float product[8] = {};
    for (int column = thread * 8; column < columns; column += Threads * 8)
    {
        load8(row, column, x);
        u16 pairs[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            pairs[i] = to_e4m3x2(__fdiv_rn(x[2 * i], scale), __fdiv_rn(x[2 * i + 1], scale));
        if (blockIdx.y == 0)
        {
            uint2 packed = { (u32)pairs[0] | ((u32)pairs[1] << 16), (u32)pairs[2] | ((u32)pairs[3] << 16) };
            *(uint2*)(output + (u64)token * columns + column) = packed;
        }
        if (rank > 0)
        {
#pragma unroll
            for (int i = 0; i < 4; i++) from_e4m3x2(pairs[i], x[2 * i], x[2 * i + 1]);
#pragma unroll
            for (int r = 0; r < 8; r++)
            {
                uint4 packed = *(const uint4*)(lowRankA + (u64)(firstRank + r) * columns + column);
                u32 words[4] = { packed.x, packed.y, packed.z, packed.w };
#pragma unroll
                for (int i = 0; i < 8; i++) product[r] += x[i] * half_to_float((u16)(words[i >> 1] >> (16 * (i & 1))));
            }
        }
    }
    if (thread == 0 && blockIdx.y == 0) scales[token] = scale;
    if (rank == 0) return;
#pragma unroll
    for (int r = 0; r < 8; r++)
    {
        float sum = warp_sum(product[r]);
        if ((thread & 31) == 0) shared[r * Warps + (thread >> 5)] = sum;
    }
    __syncthreads();
    if (thread < 8)
    {
        float sum = 0.0f;
        for (int w = 0; w < Warps; w++) sum += shared[thread * Warps + w];
        lowRankX[(u64)token * rank + firstRank + thread] = sum;
    }
}
