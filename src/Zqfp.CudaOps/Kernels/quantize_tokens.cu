// Xq = e4m3(x / Sx), Sx = max|x| / 448 per token (1 for an all-zero token), and, where the layer has a low-rank
// branch, its first product A xq in the same pass.
//
// grid = (tokens, max(1, ranks / RANKS)), 256 threads: every CTA of a token finds the same Sx, the first of them writes
// Xq, and each computes RANKS ranks. The token stays in registers: VECTORS pieces of 8 a thread, K <= 2048 * VECTORS.
// Counters that the next kernel needs at zero are set so.
// INPUT (a type of hopper.cuh), VECTORS, RANKS (0: no branch) and ROTATION (rotation.cuh; 0: none) come from the host.
#include "hopper.cuh"
#include "rotation.cuh"

constexpr int Threads = 256;
constexpr int Warps = Threads / 32;
constexpr float E4M3Max = 448.0f;
constexpr bool Early = RANKS > 0 && RANKS * VECTORS <= 8;
constexpr int PieceWords = sizeof(INPUT::Storage) * 2;

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

// Eight consecutive inputs as loaded: 16 or 32 bytes.
struct Piece
{
    u32 words[PieceWords];
    DEVICE void load(const INPUT::Storage* from)
    {
#pragma unroll
        for (int i = 0; i < PieceWords / 4; i++) *(uint4*)(words + 4 * i) = ((const uint4*)from)[i];
    }
    DEVICE void clear()
    {
#pragma unroll
        for (int i = 0; i < PieceWords; i++) words[i] = 0;
    }
    DEVICE float at(int i) const
    {
        if (PieceWords == 8) return __uint_as_float(words[i & (PieceWords - 1)]);
        u16 bits = (u16)(words[(i >> 1) & (PieceWords - 1)] >> (16 * (i & 1)));
        return INPUT::from_bits(bits);
    }
};

extern "C" __global__ void __launch_bounds__(Threads, RANKS == 0 && VECTORS <= 8 ? 2 : 1)
quantize_tokens(const void* input, u8* output, float* scales, const u16* lowRankA, float* lowRankX, int columns, int rank, u32* counters, int counterCount)
{
    __shared__ float shared[(RANKS > 1 ? RANKS : 1) * Warps];
    int token = blockIdx.x, firstRank = blockIdx.y * RANKS, thread = threadIdx.x;
    const INPUT::Storage* row = (const INPUT::Storage*)input + (u64)token * columns;

    launch_dependents();
    // A is constant: what registers can hold is asked for before the previous kernel has ended.
    uint4 a[Early ? RANKS * VECTORS : 1];
    if (Early)
    {
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
        {
            int column = (v * Threads + thread) * 8;
#pragma unroll
            for (int r = 0; r < RANKS; r++)
                a[r * VECTORS + v] = column < columns ? *(const uint4*)(lowRankA + (u64)(firstRank + r) * columns + column) : uint4{ 0, 0, 0, 0 };
        }
    }
    wait_for_previous_grid();

    Piece pieces[VECTORS];
    float rotated[ROTATION > 0 ? VECTORS : 1][8];
    auto value = [&](int v, int i) { return ROTATION > 0 ? rotated[ROTATION > 0 ? v : 0][i] : pieces[v].at(i); };
    float largest = 0.0f;
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
    {
        int column = (v * Threads + thread) * 8;
        if (column < columns) pieces[v].load(row + column);
        else pieces[v].clear();
    }
    if (ROTATION > 0)
    {
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
        {
            float (&x)[8] = rotated[ROTATION > 0 ? v : 0];
#pragma unroll
            for (int i = 0; i < 8; i++) x[i] = pieces[v].at(i);
            rotate_piece(x, thread & 31);
        }
    }
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
#pragma unroll
        for (int i = 0; i < 8; i++) largest = fmaxf(largest, fabsf(value(v, i)));
    largest = warp_max(largest);
    if ((thread & 31) == 0) shared[thread >> 5] = largest;
    __syncthreads();
    largest = shared[0];
#pragma unroll
    for (int w = 1; w < Warps; w++) largest = fmaxf(largest, shared[w]);
    __syncthreads();
    float scale = largest > 0.0f ? __fdiv_rn(largest, E4M3Max) : 1.0f;

    float product[RANKS > 0 ? RANKS : 1] = {};
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
    {
        int column = (v * Threads + thread) * 8;
        if (column >= columns) continue;
        u16 pairs[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            pairs[i] = to_e4m3x2(__fdiv_rn(value(v, 2 * i), scale), __fdiv_rn(value(v, 2 * i + 1), scale));
        if (blockIdx.y == 0)
        {
            uint2 packed = { (u32)pairs[0] | ((u32)pairs[1] << 16), (u32)pairs[2] | ((u32)pairs[3] << 16) };
            *(uint2*)(output + (u64)token * columns + column) = packed;
        }
        if (RANKS == 0) continue;
        float x[8];
#pragma unroll
        for (int i = 0; i < 4; i++) from_e4m3x2(pairs[i], x[2 * i], x[2 * i + 1]);
#pragma unroll
        for (int r = 0; r < RANKS; r++)
        {
            uint4 packed = Early ? a[Early ? r * VECTORS + v : 0] : *(const uint4*)(lowRankA + (u64)(firstRank + r) * columns + column);
            u32 words[4] = { packed.x, packed.y, packed.z, packed.w };
#pragma unroll
            for (int i = 0; i < 8; i++) product[r] += x[i] * half_to_float((u16)(words[i >> 1] >> (16 * (i & 1))));
        }
    }
    if (thread == 0 && blockIdx.y == 0) scales[token] = scale;
    if (token == 0 && blockIdx.y == 0 && thread < counterCount) counters[thread] = 0;
    if (RANKS == 0) return;
#pragma unroll
    for (int r = 0; r < RANKS; r++)
    {
        float sum = warp_sum(product[r]);
        if ((thread & 31) == 0) shared[r * Warps + (thread >> 5)] = sum;
    }
    __syncthreads();
    if (thread < RANKS)
    {
        float sum = 0.0f;
        for (int w = 0; w < Warps; w++) sum += shared[thread * Warps + w];
        lowRankX[(u64)token * rank + firstRank + thread] = sum;
    }
}
