// Xq and Sx as quantize_tokens defines them, for tokens of any length and alignment: each is read twice.
//
// grid = tokens, 256 threads. INPUT (a type of hopper.cuh) and ROTATION (rotation.cuh; 0: none) come from the host.
#include "hopper.cuh"
#include "rotation.cuh"

// The column's value; zero behind the row's end. All threads call, for columns of one piece of 256.
DEVICE float read(const void* input, u64 first, int column, int columns, float* exchange)
{
    float x = column < columns ? INPUT::load(input, first + column) : 0.0f;
    return ROTATION > 0 ? rotate_column(x, exchange) : x;
}

extern "C" __global__ void __launch_bounds__(256)
quantize_simple(const void* input, u8* output, float* scales, int columns)
{
    __shared__ float shared[8];
    __shared__ float exchange[256];
    wait_for_previous_grid();
    u64 first = (u64)blockIdx.x * columns;
    float largest = 0.0f;
    for (int piece = 0; piece < columns; piece += 256)
        largest = fmaxf(largest, fabsf(read(input, first, piece + threadIdx.x, columns, exchange)));
    for (int offset = 16; offset; offset >>= 1) largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, offset));
    if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = largest;
    __syncthreads();
    for (int warp = 0; warp < 8; warp++) largest = fmaxf(largest, shared[warp]);
    float scale = largest > 0.0f ? __fdiv_rn(largest, 448.0f) : 1.0f;
    for (int piece = 0; piece < columns; piece += 256)
    {
        int column = piece + threadIdx.x;
        float x = read(input, first, column, columns, exchange);
        if (column < columns) output[first + column] = (u8)to_e4m3x2(__fdiv_rn(x, scale), 0.0f);
    }
    if (threadIdx.x == 0) scales[blockIdx.x] = scale;
}
