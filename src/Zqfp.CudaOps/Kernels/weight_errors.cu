// E = W - Q - U D [padded rows, stride], 0 outside: what quantization left of the weights, rounded as the processor rounds it.
#include "pipeline.cuh"

// grid = (stride / 256, padded rows), 256 threads. codes: packed, row after row; values: of each code; scales [rows, groups]; up [rows, rank]
// and down [rank, columns].
extern "C" __global__ void __launch_bounds__(256)
weight_errors(const float* weights, const u8* codes, int bits, const float* values, const float* scales, int rows, int columns,
    int groupSize, int groups, const float* up, const float* down, int rank, float* errors, long long stride)
{
    int row = blockIdx.y, column = blockIdx.x * 256 + threadIdx.x;
    if (column >= stride) return;
    float error = 0;
    if (row < rows && column < columns)
    {
        long long at = (long long)row * columns + column;
        int code = bits == 8 ? codes[at] : codes[at >> 1] >> (at & 1) * 4 & 15;
        error = __fsub_rn(weights[at], __fmul_rn(values[code], scales[(long long)row * groups + column / groupSize]));
        for (int r = 0; r < rank; r++)
            error = __fmaf_rn(-up[(long long)row * rank + r], down[(long long)r * columns + column], error);
    }
    errors[row * stride + column] = error;
}

// target[column, row] = source[row, column]. grid = (columns / 32, rows / 32), 256 threads.
extern "C" __global__ void __launch_bounds__(256)
turn_matrix(const float* source, long long sourceStride, float* target, long long targetStride)
{
    __shared__ float tile[32][33];
    int lane = threadIdx.x % 32, part = threadIdx.x / 32;
    for (int i = part; i < 32; i += 8) tile[i][lane] = source[(blockIdx.y * 32LL + i) * sourceStride + blockIdx.x * 32 + lane];
    __syncthreads();
    for (int i = part; i < 32; i += 8) target[(blockIdx.x * 32LL + i) * targetStride + blockIdx.y * 32 + lane] = tile[lane][i];
}

// sums[row] = sum over columns of a b, in double. grid = rows, 256 threads; stride is a multiple of 128.
extern "C" __global__ void __launch_bounds__(256) row_products(const float* a, const float* b, long long stride, double* sums)
{
    __shared__ double parts[256];
    long long first = blockIdx.x * stride;
    double sum = 0;
    for (long long i = threadIdx.x; i < stride; i += 256) sum += (double)a[first + i] * b[first + i];
    parts[threadIdx.x] = sum;
    __syncthreads();
    for (int half = 128; half > 0; half /= 2)
    {
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = parts[0];
}
