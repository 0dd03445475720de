// C[m, n] += sum over k of A[k, m] B[k, n] in float32, bit for bit as the processor's TileKernel sums: k in chunks, each a chain of fused
// multiply-adds that starts at 0 and is added to C once, chunk after chunk. No tensor core and no library sums in an order of ours.
//
// grid = (columns of C / TILE_N, rows of C / TILE_M, lanes), a block TILE_M / 8 * TILE_N / 8 threads of 8 x 8 elements. Lane z takes
// the chunks z, z + lanes, .. and has a C of its own. Leading dimensions are multiples of 4, tiles are whole; rows of A and B from `depth`
// on count as 0. Columns of A and B lie in panels of 128 columns, `panel` elements apart.
// TILE_M, TILE_N (32, 64, 128) and MODE (ADD, REPLACE_NEGATED, LOWER: blocks on and below the diagonal alone) come from the host.
#include "pipeline.cuh"

#define ADD 0
#define REPLACE_NEGATED 1
#define LOWER 2

constexpr int Deep = 16;
constexpr int Stages = 3;
constexpr int ThreadsM = TILE_M / 8, ThreadsN = TILE_N / 8, Threads = ThreadsM * ThreadsN;

struct Operand
{
    const float* data;
    long long stride;
    long long panel;
};

template <int Width> DEVICE void load(float* target, const Operand& from, int column, int row, int end)
{
    const float* source = from.data + (column >> 7) * from.panel + (column & 127);
#pragma unroll
    for (int piece = 0; piece < Deep * Width / 4; piece += Threads)
    {
        int at = piece + threadIdx.x;
        if (Deep * Width / 4 % Threads == 0 || at < Deep * Width / 4)
        {
            int k = at / (Width / 4), c = at % (Width / 4) * 4;
            bool valid = row + k < end;
            copy_ahead(target + k * Width + c, valid ? source + (row + k) * from.stride + c : source, valid);
        }
    }
}

extern "C" __global__ void __launch_bounds__(Threads)
exact_product(Operand a, Operand b, float* c, long long ldc, long long lane, int depth, int chunk)
{
    __shared__ __align__(16) float left[Stages][Deep * TILE_M];
    __shared__ __align__(16) float right[Stages][Deep * TILE_N];
    if (MODE == LOWER && (int)(blockIdx.x * TILE_N) >= (int)((blockIdx.y + 1) * TILE_M)) return;
    int m = blockIdx.y * TILE_M, n = blockIdx.x * TILE_N;
    int ty = threadIdx.x / ThreadsN * 4, tx = threadIdx.x % ThreadsN * 4;
    int stepsOfChunk = chunk / Deep;
    int chunks = (depth + chunk - 1) / chunk;
    int own = chunks > (int)blockIdx.z ? (chunks - 1 - blockIdx.z) / gridDim.z + 1 : 0;
    int steps = own * stepsOfChunk;
    auto fetch = [&](int step)
    {
        if (step < steps)
        {
            int row = (step / stepsOfChunk * gridDim.z + blockIdx.z) * chunk + step % stepsOfChunk * Deep;
            load<TILE_M>(left[step % Stages], a, m, row, depth);
            load<TILE_N>(right[step % Stages], b, n, row, depth);
        }
        close_copies();
    };

    c += blockIdx.z * lane;
    float total[8][8], sum[8][8];
#pragma unroll
    for (int i = 0; i < 8; i++)
    {
        const float* row = c + (long long)(m + (i < 4 ? ty + i : TILE_M / 2 + ty + i - 4)) * ldc + n + tx;
        float4 first = make_float4(0, 0, 0, 0), second = first;
        if (MODE != REPLACE_NEGATED)
        {
            first = *(const float4*)row;
            second = *(const float4*)(row + TILE_N / 2);
        }
        total[i][0] = first.x; total[i][1] = first.y; total[i][2] = first.z; total[i][3] = first.w;
        total[i][4] = second.x; total[i][5] = second.y; total[i][6] = second.z; total[i][7] = second.w;
#pragma unroll
        for (int j = 0; j < 8; j++) sum[i][j] = 0;
    }

    for (int step = 0; step < Stages - 1; step++) fetch(step);
    for (int step = 0; step < steps; step++)
    {
        wait_for_copies<Stages - 2>();
        __syncthreads();
        fetch(step + Stages - 1);
        const float* x = left[step % Stages];
        const float* y = right[step % Stages];
#pragma unroll
        for (int k = 0; k < Deep; k++)
        {
            float4 a0 = *(const float4*)(x + k * TILE_M + ty), a1 = *(const float4*)(x + k * TILE_M + TILE_M / 2 + ty);
            float4 b0 = *(const float4*)(y + k * TILE_N + tx), b1 = *(const float4*)(y + k * TILE_N + TILE_N / 2 + tx);
            float as[8] = { a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w };
            float bs[8] = { b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w };
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 8; j++) sum[i][j] = __fmaf_rn(as[i], bs[j], sum[i][j]);
        }

        if ((step + 1) % stepsOfChunk == 0)
        {
#pragma unroll
            for (int i = 0; i < 8; i++)
#pragma unroll
                for (int j = 0; j < 8; j++)
                {
                    total[i][j] = __fadd_rn(total[i][j], sum[i][j]);
                    sum[i][j] = 0;
                }
        }
    }

#pragma unroll
    for (int i = 0; i < 8; i++)
    {
        float* row = c + (long long)(m + (i < 4 ? ty + i : TILE_M / 2 + ty + i - 4)) * ldc + n + tx;
        float* t = total[i];
        if (MODE == REPLACE_NEGATED)
        {
#pragma unroll
            for (int j = 0; j < 8; j++) t[j] = -t[j];
        }
        *(float4*)row = make_float4(t[0], t[1], t[2], t[3]);
        *(float4*)(row + TILE_N / 2) = make_float4(t[4], t[5], t[6], t[7]);
    }
}

// C[i] = the sum of the lanes in their order.
extern "C" __global__ void __launch_bounds__(256) add_lanes(const float* lanes, long long lane, int count, float* sums)
{
    long long i = blockIdx.x * 256LL + threadIdx.x;
    if (i >= lane) return;
    float sum = lanes[i];
    for (int l = 1; l < count; l++) sum = __fadd_rn(sum, lanes[l * lane + i]);
    sums[i] = sum;
}
