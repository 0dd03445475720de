// GPTQ's sweep over blocks of 128 columns, in the processor's order of operations (GptqSweep). Everything lies [columns, rows], so that a
// row of the weights is a thread's and steps of neighbouring threads read neighbouring memory.
//
// `weights` holds the weights of the columns to come and the errors of those behind; `adjusted` the weights plus what finished columns pass
// on, by exact_product after each block. ROWS (threads of a block) comes from the host, with the number format.
#include "grid.cuh"

constexpr int Block = 128;
constexpr int Sub = 32;

// grid = (padded columns / 32, padded rows / 32), 256 threads. Both targets receive W's columns in the order of the steps; 0 outside.
extern "C" __global__ void __launch_bounds__(256)
turn_weights(const float* source, int rows, int columns, const int* order, float* weights, float* adjusted, long long stride)
{
    __shared__ float turned[32][33];
    int lane = threadIdx.x % 32, part = threadIdx.x / 32;
    int step = blockIdx.x * 32 + lane;
    for (int i = part; i < 32; i += 8)
    {
        int row = blockIdx.y * 32 + i;
        turned[i][lane] = row < rows && step < columns ? source[(long long)row * columns + order[step]] : 0;
    }
    __syncthreads();
    for (int i = part; i < 32; i += 8)
    {
        long long at = (long long)(blockIdx.x * 32 + i) * stride + blockIdx.y * 32 + lane;
        weights[at] = turned[lane][i];
        if (adjusted) adjusted[at] = turned[lane][i];
    }
}

// One block of columns, `first` on. grid = padded rows / ROWS; dynamic shared memory: U's tile, errors [128, ROWS], weights
// at first, and scales [32, ROWS].
// scales [groups, stride], group of each step, codes [columns, stride], losses [rows]: tr(E H E^T) of the row, added to.
extern "C" __global__ void __launch_bounds__(ROWS, 1)
sweep_block(const float* upper, long long size, float* weights, const float* adjusted, long long stride, const float* scales,
    const int* groups, u8* codes, const double* pivots, double damping, double* losses, int first)
{
    DYNAMIC_SHARED(float, memory);
    float* u = memory;
    float* errors = memory + Block * Block + threadIdx.x;
    float* scale = errors + Block * ROWS;
    const float* tile = upper + first * size + first;
    for (int at = threadIdx.x; at < Block * Block / 4; at += ROWS)
        ((float4*)u)[at] = *(const float4*)(tile + at / (Block / 4) * size + at % (Block / 4) * 4);
    __syncthreads();

    long long row = (long long)blockIdx.x * ROWS + threadIdx.x;
    double loss = losses[row];
#pragma unroll 1
    for (int start = 0; start < Block; start += Sub)
    {
        float value[Sub];
#pragma unroll
        for (int c = 0; c < Sub; c++) value[c] = 0;
        for (int k = 0; k < start; k++)
        {
            float error = errors[k * ROWS];
            const float4* line = (const float4*)(u + k * Block + start);
#pragma unroll
            for (int c = 0; c < Sub; c += 4)
            {
                float4 x = line[c / 4];
                value[c] = __fmaf_rn(x.x, error, value[c]);
                value[c + 1] = __fmaf_rn(x.y, error, value[c + 1]);
                value[c + 2] = __fmaf_rn(x.z, error, value[c + 2]);
                value[c + 3] = __fmaf_rn(x.w, error, value[c + 3]);
            }
        }
#pragma unroll
        for (int c = 0; c < Sub; c++)
        {
            long long at = (first + start + c) * stride + row;
            float own = adjusted[at];
            value[c] = start == 0 ? own : __fadd_rn(own, value[c]);
        }
#pragma unroll 8
        for (int c = 0; c < Sub; c++)
        {
            errors[(start + c) * ROWS] = weights[(first + start + c) * stride + row];
            scale[c * ROWS] = scales[groups[first + start + c] * stride + row];
        }
#pragma unroll
        for (int c = 0; c < Sub; c++)
        {
            int step = first + start + c;
            Rounded rounded = round_to_grid(__fdiv_rn(value[c], scale[c * ROWS]));
            float quantized = __fmul_rn(rounded.value, scale[c * ROWS]);
            float error = __fsub_rn(errors[(start + c) * ROWS], quantized);
            float miss = __fsub_rn(value[c], quantized);
            loss += (double)miss * miss * pivots[step] - damping * ((double)error * error);
            errors[(start + c) * ROWS] = error;
            weights[step * stride + row] = error;
            codes[step * stride + row] = rounded.code;
#pragma unroll
            for (int later = c + 1; later < Sub; later++)
                value[later] = __fmaf_rn(u[(start + c) * Block + start + later], error, value[later]);
            __syncwarp();    // else all of the tile's loads move ahead, into more registers than there are
        }
    }
    losses[row] = loss;
}

// Codes [columns, stride] to [rows, columns], in the natural order of the columns. grid = (padded columns / 32, padded rows / 32), 256.
extern "C" __global__ void __launch_bounds__(256)
turn_codes(const u8* codes, long long stride, int rows, int columns, const int* order, u8* turned)
{
    __shared__ u8 tile[32][36];
    int lane = threadIdx.x % 32, part = threadIdx.x / 32;
    for (int i = part; i < 32; i += 8)
        tile[i][lane] = codes[(long long)(blockIdx.x * 32 + i) * stride + blockIdx.y * 32 + lane];
    __syncthreads();
    int step = blockIdx.x * 32 + lane;
    for (int i = part; i < 32; i += 8)
    {
        int row = blockIdx.y * 32 + i;
        if (row < rows && step < columns) turned[(long long)row * columns + order[step]] = tile[lane][i];
    }
}

// Two codes a byte, the first in the low nibble. grid = bytes / 256.
extern "C" __global__ void __launch_bounds__(256) pack_codes(const u8* codes, long long count, u8* packed)
{
    long long at = blockIdx.x * 256LL + threadIdx.x;
    if (2 * at >= count) return;
    packed[at] = codes[2 * at] | (2 * at + 1 < count ? codes[2 * at + 1] << 4 : 0);
}
