// Packed weights to E4M3 [N, K], row after row: value = fp4(w) * 2^(6-k), exact for k <= 14. Makes
// the expanded weights of a session; also the witness that the decoding is exact.
//
// grid = (row blocks, column blocks), 256 threads.
#define SCALED 0
#include "hopper.cuh"
#include "packed.cuh"

constexpr int Threads = 256;
constexpr int RowStride = BlockColumns + 16;

extern "C" __global__ void __launch_bounds__(Threads)
expand(const u8* weights, u8* output, int rows, int columns, int columnBlocks)
{
    __shared__ __align__(16) u8 expanded[BlockRows * RowStride];
    int thread = threadIdx.x, fragment = thread & 127, lane = fragment & 31, warp = fragment >> 5;
    const u8* block = weights + ((u64)blockIdx.x * columnBlocks + blockIdx.y) * BlockBytes;

    launch_dependents();
    uint4 loaded[2];
#pragma unroll
    for (int v = 0; v < 2; v++) loaded[v] = ((const uint4*)block)[((thread >> 7) * 2 + v) * 128 + fragment];
    int row = warp * 16 + (lane >> 2);
#pragma unroll
    for (int v = 0; v < 2; v++)
    {
        u32 words[4] = { loaded[v].x, loaded[v].y, loaded[v].z, loaded[v].w };
#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            int step = ((thread >> 7) * 2 + v) * 2 + (i >> 1);
            int half = i & 1;
            // The float16 of the same power of two as the float with this biased exponent.
            u32 factor = (u32)(block[CodeBytes + step / StepsPerGroup * BlockRows + warp * 16 + (lane >> 2) * 2 + half] - 127 + 15) << 10;
            u32 first, second;
            decode8(words[i], first, second);
            u8* target = expanded + (row + half * 8) * RowStride + step * 32 + (lane & 3) * 4;
            *(u32*)target = scale_e4m3x4(first, factor | factor << 16);
            *(u32*)(target + 16) = scale_e4m3x4(second, factor | factor << 16);
        }
    }
    __syncthreads();
    wait_for_previous_grid();
#pragma unroll
    for (int i = 0; i < BlockRows * BlockColumns / 16 / Threads; i++)
    {
        int piece = i * Threads + thread;
        int localRow = piece / (BlockColumns / 16), localColumn = piece % (BlockColumns / 16) * 16;
        int globalRow = blockIdx.x * BlockRows + localRow, column = blockIdx.y * BlockColumns + localColumn;
        if (globalRow < rows && column < columns)
            *(uint4*)(output + (u64)globalRow * columns + column) = *(uint4*)(expanded + localRow * RowStride + localColumn);
    }
}
