// Xq = e4m3(x / Sx), Sx = max|x| / 448 per token (1 for an all-zero token), and, where the layer has a low-rank
// branch, its first product A xq in the same pass.
//
// grid = (tokens, max(1, ranks / RANKS)), THREADS threads: every CTA of a token finds the same Sx, the first of them writes
// Xq, and each computes RANKS ranks. The token stays in registers: VECTORS pieces of 8 a thread, K <= 8 * THREADS * VECTORS.
// Counters that the next kernel needs at zero are set so.
//
// SOURCE says what is quantized: 0 the input; 1 its RMS norm times a gain, 2 its layer norm times a gain (in both the input may be a
// sum of two, which is written out); from 4 on an activation, alone or times another input. What is made in between is rounded to the
// input's type, as it is where operators of their own make it.
// INPUT (a type of hopper.cuh), THREADS, VECTORS, RANKS (0: no branch) and ROTATION (rotation.cuh; 0: none) come from the host.
#include "hopper.cuh"
#include "rotation.cuh"

#include "source.cuh"

constexpr int Threads = THREADS;
constexpr int Warps = Threads / 32;
constexpr float E4M3Max = 448.0f;
constexpr bool Early = RANKS > 0 && RANKS * VECTORS <= (Threads == 1024 ? 2 : 8);
constexpr int PieceWords = sizeof(INPUT::Storage) * 2;
// What a norm reads besides the input is asked for together with it, where registers can hold it.
constexpr bool Together = Threads < 1024 && PieceWords * VECTORS <= 16;

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
    DEVICE void set(int i, float value)
    {
        if (PieceWords == 8) { words[i & (PieceWords - 1)] = __float_as_uint(value); return; }
        u32 bits = INPUT::to_bits(value);
        u32& word = words[(i >> 1) & (PieceWords - 1)];
        word = i & 1 ? (word & 0xFFFFu) | bits << 16 : (word & 0xFFFF0000u) | bits;
    }
    DEVICE void store(INPUT::Storage* to) const
    {
#pragma unroll
        for (int i = 0; i < PieceWords / 4; i++) ((uint4*)to)[i] = *(const uint4*)(words + 4 * i);
    }
    DEVICE float at(int i) const
    {
        if (PieceWords == 8) return __uint_as_float(words[i & (PieceWords - 1)]);
        u16 bits = (u16)(words[(i >> 1) & (PieceWords - 1)] >> (16 * (i & 1)));
        return INPUT::from_bits(bits);
    }
};

// The sum of a block's values, the same in all threads; warps are added in their order. Each sum has a place of its own.
DEVICE float block_sum(float value, float* place)
{
    value = warp_sum(value);
    if ((threadIdx.x & 31) == 0) place[threadIdx.x >> 5] = value;
    __syncthreads();
    value = place[0];
#pragma unroll
    for (int w = 1; w < Warps; w++) value += place[w];
    return value;
}

// The largest of numbers without a sign, by their bits: a NaN is larger than any.
DEVICE u32 warp_max(u32 bits)
{
    u32 largest;
    asm volatile("redux.sync.max.u32 %0, %1, 0xffffffff;" : "=r"(largest) : "r"(bits));
    return largest;
}

#if SOURCE == 1 || SOURCE == 2
// A row of constants, or of another addend: held in registers, or read where it is needed.
struct Row
{
    const INPUT::Storage* from;
    Piece held[Together ? VECTORS : 1];
    DEVICE void ask(int columns)
    {
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
        {
            int column = (v * Threads + threadIdx.x) * 8;
            if (Together && from && column < columns) held[Together ? v : 0].load(from + column);
        }
    }
    DEVICE Piece piece(int v, int column) const
    {
        if (Together) return held[Together ? v : 0];
        Piece read;
        read.load(from + column);
        return read;
    }
};

// Pieces of the input become pieces of its norm.
DEVICE void normalize(
    Piece (&pieces)[VECTORS], const Row& second, const Row& gain, const Row& shift, const SourceArguments& source, int token, int columns, float (&places)[2][Warps])
{
    u64 first = (u64)token * columns;
    float total = 0.0f;
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
    {
        int column = (v * Threads + threadIdx.x) * 8;
        if (column >= columns) continue;
        if (second.from)
        {
            Piece other = second.piece(v, column);
#pragma unroll
            for (int i = 0; i < 8; i++) pieces[v].set(i, pieces[v].at(i) + other.at(i));
        }
        if (source.sum && blockIdx.y == 0) pieces[v].store((INPUT::Storage*)source.sum + first + column);
#pragma unroll
        for (int i = 0; i < 8; i++) total += SOURCE == 2 ? pieces[v].at(i) : pieces[v].at(i) * pieces[v].at(i);
    }
    total = block_sum(total, places[0]);
    float mean = 0.0f;
    if (SOURCE == 2)
    {
        mean = __fdiv_rn(total, (float)columns);
        total = 0.0f;
#pragma unroll
        for (int v = 0; v < VECTORS; v++)
        {
            if ((v * Threads + threadIdx.x) * 8 >= columns) continue;
#pragma unroll
            for (int i = 0; i < 8; i++) total += (pieces[v].at(i) - mean) * (pieces[v].at(i) - mean);
        }
        total = block_sum(total, places[1]);
    }
    float factor = norm_factor(total, columns, source.epsilon);
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
    {
        int column = (v * Threads + threadIdx.x) * 8;
        if (column >= columns) continue;
        Piece gains = gain.piece(v, column), shifts;
        if (SOURCE == 2 && shift.from) shifts = shift.piece(v, column);
        else shifts.clear();
#pragma unroll
        for (int i = 0; i < 8; i++)
        {
            float y = SOURCE == 2 ? (pieces[v].at(i) - mean) * factor * gains.at(i) + shifts.at(i) : pieces[v].at(i) * factor * gains.at(i);
            pieces[v].set(i, y);
        }
    }
}
#endif

extern "C" __global__ void __launch_bounds__(Threads, Threads == 256 && RANKS == 0 && VECTORS <= 8 ? 2 : 1)
quantize_tokens(const void* input, u8* output, float* scales, const u16* lowRankA, float* lowRankX, int columns, int rank, u32* counters, int counterCount
#if SOURCE > 0
    , const SourceArguments source
#endif
    )
{
    __shared__ float parts[RANKS > 1 ? RANKS : 1][Warps];
    __shared__ u32 maxima[Warps];
#if SOURCE == 1 || SOURCE == 2
    __shared__ float sums[2][Warps];
#endif
    int token = blockIdx.x, firstRank = blockIdx.y * RANKS, thread = threadIdx.x;
#if ACTIVATES
    const INPUT::Storage* row = (const INPUT::Storage*)input + (u64)token * source.stride;
#if GATED
    const INPUT::Storage* factors = (const INPUT::Storage*)source.second + (u64)token * source.stride;
#endif
#else
    const INPUT::Storage* row = (const INPUT::Storage*)input + (u64)token * columns;
#endif

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
#if SOURCE == 1 || SOURCE == 2
    Row second = { source.second ? (const INPUT::Storage*)source.second + (u64)token * columns : nullptr };
    Row gain = { (const INPUT::Storage*)source.gain }, shift = { SOURCE == 2 ? (const INPUT::Storage*)source.shift : nullptr };
    if (source.constants) { gain.ask(columns); shift.ask(columns); }
#endif
    wait_for_previous_grid();

    Piece pieces[VECTORS];
    float rotated[ROTATION > 0 ? VECTORS : 1][8];
    auto value = [&](int v, int i) { return ROTATION > 0 ? rotated[ROTATION > 0 ? v : 0][i] : pieces[v].at(i); };
    u32 largest = 0;
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
    {
        int column = (v * Threads + thread) * 8;
        if (column < columns) pieces[v].load(row + column);
        else pieces[v].clear();
    }
#if ACTIVATES
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
    {
        int column = (v * Threads + thread) * 8;
        if (column >= columns) continue;
#if GATED
        Piece factor;
        factor.load(factors + column);
#pragma unroll
        for (int i = 0; i < 8; i++) pieces[v].set(i, activate<PieceWords == 4>(pieces[v].at(i)) * factor.at(i));
#else
#pragma unroll
        for (int i = 0; i < 8; i++) pieces[v].set(i, activate<PieceWords == 4>(pieces[v].at(i)));
#endif
    }
#elif SOURCE > 0
    second.ask(columns);
    if (!source.constants) { gain.ask(columns); shift.ask(columns); }
    normalize(pieces, second, gain, shift, source, token, columns, sums);
#endif
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
        for (int i = 0; i < 8; i++) largest = max(largest, __float_as_uint(value(v, i)) & 0x7FFFFFFFu);
    largest = warp_max(largest);
    if ((thread & 31) == 0) maxima[thread >> 5] = largest;
    __syncthreads();
    largest = maxima[0];
#pragma unroll
    for (int w = 1; w < Warps; w++) largest = max(largest, maxima[w]);
    float scale = largest != 0 ? __fdiv_rn(__uint_as_float(largest), E4M3Max) : 1.0f;
    const Divisor divisor(scale);

    float product[RANKS > 0 ? RANKS : 1] = {};
#pragma unroll
    for (int v = 0; v < VECTORS; v++)
    {
        int column = (v * Threads + thread) * 8;
        if (column >= columns) continue;
        u16 pairs[4];
#pragma unroll
        for (int i = 0; i < 4; i++) pairs[i] = to_e4m3x2(divisor.of(value(v, 2 * i)), divisor.of(value(v, 2 * i + 1)));
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
        if ((thread & 31) == 0) parts[r][thread >> 5] = sum;
    }
    __syncthreads();
    if (thread < RANKS)
    {
        float sum = 0.0f;
#pragma unroll
        for (int w = 0; w < Warps; w++) sum += parts[thread][w];
        lowRankX[(u64)token * rank + firstRank + thread] = sum;
    }
}
