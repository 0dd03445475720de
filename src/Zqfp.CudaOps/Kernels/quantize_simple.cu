// Xq and Sx as quantize_tokens defines them, for tokens of any length and alignment: each is read twice.
//
// grid = tokens, 256 threads. INPUT (a type of hopper.cuh) comes from the host.
#include "hopper.cuh"

extern "C" __global__ void __launch_bounds__(256)
quantize_simple(const void* input, u8* output, float* scales, int columns)
{
    __shared__ float shared[8];
    wait_for_previous_grid();
    u64 first = (u64)blockIdx.x * columns;
    float largest = 0.0f;
    for (int column = threadIdx.x; column < columns; column += 256) largest = fmaxf(largest, fabsf(INPUT::load(input, first + column)));
    for (int offset = 16; offset; offset >>= 1) largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, offset));
    if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = largest;
    __syncthreads();
    for (int warp = 0; warp < 8; warp++) largest = fmaxf(largest, shared[warp]);
    float scale = largest > 0.0f ? __fdiv_rn(largest, 448.0f) : 1.0f;
    for (int column = threadIdx.x; column < columns; column += 256)
        output[first + column] = (u8)to_e4m3x2(__fdiv_rn(INPUT::load(input, first + column), scale), 0.0f);
    if (threadIdx.x == 0) scales[blockIdx.x] = scale;
}
