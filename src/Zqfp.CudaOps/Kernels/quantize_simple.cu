// Xq and Sx as quantize_tokens defines them, for tokens of any length and alignment: each is read twice, and twice more for a norm.
//
// grid = tokens, 256 threads. INPUT (a type of hopper.cuh), SOURCE (quantize_tokens.cu; 0: the input itself) and ROTATION (rotation.cuh;
// 0: none) come from the host.
#include "hopper.cuh"
#include "rotation.cuh"
#include "source.cuh"

constexpr int Threads = 256;

struct Token
{
    const void* input;
    u64 first;
    int columns;
    SourceArguments source;
    float mean, factor;

    // What is normalized: the input, or its sum with another.
    DEVICE float addend(int column) const
    {
        float x = INPUT::load(input, first + column);
        return source.second ? INPUT::round(x + INPUT::load(source.second, first + column)) : x;
    }

    // What is quantized.
    DEVICE float value(int column) const
    {
        if (ACTIVATES)
        {
            u64 index = (u64)blockIdx.x * source.stride + column;
            float made = activate<false>(INPUT::load(input, index));
            return INPUT::round(GATED ? made * INPUT::load(source.second, index) : made);
        }
        if (SOURCE == 0) return INPUT::load(input, first + column);
        float shift = source.shift ? INPUT::load(source.shift, column) : 0.0f;
        return INPUT::round((addend(column) - mean) * factor * INPUT::load(source.gain, column) + shift);
    }
};

// The column's value; zero behind the row's end. All threads call, for columns of one piece of 256.
DEVICE float read(const Token& token, int column, float* exchange)
{
    float x = column < token.columns ? token.value(column) : 0.0f;
    return ROTATION > 0 ? rotate_column(x, exchange) : x;
}

// A sum over all threads, or their largest value, known to all of them.
template <bool Largest> DEVICE float of_block(float value, float* shared)
{
    for (int offset = 16; offset; offset >>= 1)
    {
        float other = __shfl_xor_sync(0xFFFFFFFFu, value, offset);
        value = Largest ? fmaxf(value, other) : value + other;
    }
    if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = value;
    __syncthreads();
    value = shared[0];
    for (int warp = 1; warp < Threads / 32; warp++) value = Largest ? fmaxf(value, shared[warp]) : value + shared[warp];
    __syncthreads();
    return value;
}

extern "C" __global__ void __launch_bounds__(Threads)
quantize_simple(const void* input, u8* output, float* scales, int columns, const SourceArguments source)
{
    __shared__ float shared[Threads / 32];
    __shared__ float exchange[Threads];
    wait_for_previous_grid();
    Token token = { input, (u64)blockIdx.x * columns, columns, source, 0.0f, 1.0f };
    if (SOURCE == 1 || SOURCE == 2)
    {
        float total = 0.0f;
        for (int column = threadIdx.x; column < columns; column += Threads)
        {
            float x = token.addend(column);
            if (source.sum) INPUT::store(source.sum, token.first + column, x);
            total += SOURCE == 2 ? x : x * x;
        }
        total = of_block<false>(total, shared);
        if (SOURCE == 2)
        {
            token.mean = __fdiv_rn(total, (float)columns);
            total = 0.0f;
            for (int column = threadIdx.x; column < columns; column += Threads)
            {
                float x = token.addend(column) - token.mean;
                total += x * x;
            }
            total = of_block<false>(total, shared);
        }
        token.factor = norm_factor(total, columns, source.epsilon);
    }
    float largest = 0.0f;
    for (int piece = 0; piece < columns; piece += Threads)
        largest = fmaxf(largest, fabsf(read(token, piece + threadIdx.x, exchange)));
    largest = of_block<true>(largest, shared);
    float scale = largest > 0.0f ? __fdiv_rn(largest, 448.0f) : 1.0f;
    for (int piece = 0; piece < columns; piece += Threads)
    {
        int column = piece + threadIdx.x;
        float x = read(token, column, exchange);
        if (column < columns) output[token.first + column] = (u8)to_e4m3x2(__fdiv_rn(x, scale), 0.0f);
    }
    if (threadIdx.x == 0) scales[blockIdx.x] = scale;
}
