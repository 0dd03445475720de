// Coordinate descent over codes that GPTQ chose, in the processor's order of operations (CoordinateDescent): columns in their natural order,
// everything [columns, rows] as in gptq_sweep.cu. The gradient E H of a block of 128 columns is a product before each block.
// ROWS (threads of a block) comes from the host, with the number format.
#include "grid.cuh"

constexpr int Block = 128;
constexpr int Sub = 32;

// Errors and codes from the order of the steps to the natural one. grid = (stride / 128, padded columns), 128 threads. Steps behind the last
// column stay where they are.
extern "C" __global__ void __launch_bounds__(128)
order_columns(const float* errors, const u8* codes, const int* order, int columns, float* ordered, u8* orderedCodes, long long stride)
{
    int step = blockIdx.y, row = blockIdx.x * 128 + threadIdx.x;
    int column = step < columns ? order[step] : step;
    ordered[column * stride + row] = errors[step * stride + row];
    orderedCodes[column * stride + row] = codes[step * stride + row];
}

// One block of columns, `first` on. grid = padded rows / ROWS; dynamic shared memory: H's tile, changes [128, ROWS], scales [32, ROWS].
// gradient [128, stride]; losses [rows]: what is gained is taken off.
extern "C" __global__ void __launch_bounds__(ROWS, 1)
descend_block(const float* hessian, long long size, float* errors, const float* gradient, long long stride, const float* scales,
    int groupSize, u8* codes, const float* values, double* losses, int first)
{
    DYNAMIC_SHARED(float, memory);
    float* h = memory;
    float* changes = memory + Block * Block + threadIdx.x;
    float* scale = changes + Block * ROWS;
    const float* tile = hessian + first * size + first;
    for (int at = threadIdx.x; at < Block * Block / 4; at += ROWS)
        ((float4*)h)[at] = *(const float4*)(tile + at / (Block / 4) * size + at % (Block / 4) * 4);
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
            float change = changes[k * ROWS];
            const float4* line = (const float4*)(h + k * Block + start);
#pragma unroll
            for (int c = 0; c < Sub; c += 4)
            {
                float4 x = line[c / 4];
                value[c] = __fmaf_rn(x.x, change, value[c]);
                value[c + 1] = __fmaf_rn(x.y, change, value[c + 1]);
                value[c + 2] = __fmaf_rn(x.z, change, value[c + 2]);
                value[c + 3] = __fmaf_rn(x.w, change, value[c + 3]);
            }
        }
#pragma unroll
        for (int c = 0; c < Sub; c++)
        {
            float own = gradient[(start + c) * stride + row];
            value[c] = start == 0 ? own : __fadd_rn(own, value[c]);
        }
#pragma unroll 8
        for (int c = 0; c < Sub; c++) scale[c * ROWS] = scales[(first + start + c) / groupSize * stride + row];
#pragma unroll
        for (int c = 0; c < Sub; c++)
        {
            float diagonal = h[(start + c) * Block + start + c];
            float change = 0;
            if (diagonal > 0)
            {
                long long at = (first + start + c) * stride + row;
                float factor = scale[c * ROWS];
                float pull = __fmul_rn(value[c], __fdiv_rn(1.0f, diagonal));
                float old = __fmul_rn(values[codes[at]], factor);
                Rounded rounded = round_to_grid(__fdiv_rn(__fadd_rn(old, pull), factor));
                float step = __fsub_rn(old, __fmul_rn(rounded.value, factor));
                float cost = __fmul_rn(step, __fadd_rn(__fadd_rn(step, pull), pull));
                if (cost < 0)
                {
                    change = step;
                    errors[at] = __fadd_rn(errors[at], step);
                    codes[at] = rounded.code;
                    loss += (double)cost * diagonal;
                }
            }
            changes[(start + c) * ROWS] = change;
#pragma unroll
            for (int later = c + 1; later < Sub; later++)
                value[later] = __fmaf_rn(h[(start + c) * Block + start + later], change, value[later]);
            __syncwarp();    // else all of the tile's loads move ahead, into more registers than there are
        }
    }
    losses[row] = loss;
}

// Q [columns, stride] of codes and scales. grid = (stride / 128, padded columns), 128 threads.
extern "C" __global__ void __launch_bounds__(128)
decode_columns(const u8* codes, const float* values, const float* scales, int columns, int groupSize, float* decoded, long long stride)
{
    int column = blockIdx.y, row = blockIdx.x * 128 + threadIdx.x;
    long long at = column * stride + row;
    decoded[at] = column < columns ? __fmul_rn(values[codes[at]], scales[column / groupSize * stride + row]) : 0;
}

// Adds q (E H) and q (Q H) of a block of columns to each row's sums. grid = stride / 128, 128 threads.
extern "C" __global__ void __launch_bounds__(128)
add_pulls(const float* decoded, const float* gradient, const float* products, long long stride, int count, double* pulls, double* weights)
{
    int row = blockIdx.x * 128 + threadIdx.x;
    double pull = pulls[row], weight = weights[row];
    for (int c = 0; c < count; c++)
    {
        long long at = c * stride + row;
        pull = __dadd_rn(pull, __dmul_rn((double)decoded[at], (double)gradient[at]));
        weight = __dadd_rn(weight, __dmul_rn((double)decoded[at], (double)products[at]));
    }
    pulls[row] = pull;
    weights[row] = weight;
}

// E -= (factor - 1) Q. grid = (stride / 128, padded columns), 128 threads.
extern "C" __global__ void __launch_bounds__(128)
take_factors(float* errors, const float* decoded, const float* factors, long long stride)
{
    int row = blockIdx.x * 128 + threadIdx.x;
    long long at = blockIdx.y * stride + row;
    errors[at] = __fsub_rn(errors[at], __fmul_rn(__fsub_rn(factors[row], 1.0f), decoded[at]));
}
