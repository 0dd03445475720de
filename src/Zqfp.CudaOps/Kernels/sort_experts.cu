// The rows of Y sorted by expert, and the tiles that grouped_gemm.cu multiplies (sorted_rows.cuh), for more rows than its blocks sort
// themselves. One block of 1024 threads: each warp counts, and then places, a part of the rows, which keep their order.
//
// Dynamic shared memory: 32 counts for every expert and for the rows without one. TOKENS comes from the host.
#include "hopper.cuh"
#include "sorted_rows.cuh"

constexpr int Warps = 32;
constexpr int Batch = 8;        // indices of a lane that are asked for at once

// What a thread's two experts have of rows and tiles, and all before them.
DEVICE int2 sums_before(int rows, int tiles, int warp, int lane, int2* warpSums)
{
    int2 sum = { rows, tiles };
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2)
    {
        int otherRows = __shfl_up_sync(0xFFFFFFFFu, sum.x, offset), otherTiles = __shfl_up_sync(0xFFFFFFFFu, sum.y, offset);
        if (lane >= offset) { sum.x += otherRows; sum.y += otherTiles; }
    }
    if (lane == 31) warpSums[warp] = sum;
    __syncthreads();
    int2 before = { sum.x - rows, sum.y - tiles };
    for (int w = 0; w < warp; w++) { before.x += warpSums[w].x; before.y += warpSums[w].y; }
    return before;
}

extern "C" __global__ void __launch_bounds__(Warps * 32, 1)
sort_experts(const long long* index, int4* tiles, int* order, int count, int experts)
{
    extern __shared__ int counts[]; // [Warps][experts + 1]
    __shared__ int2 warpSums[Warps];
    int thread = threadIdx.x, warp = thread >> 5, lane = thread & 31, bins = experts + 1;
    // No more warps than have a batch of rows each: every one of them is a round of the sums below.
    int warps = (count + Batch * 32 - 1) / (Batch * 32);
    warps = warps < Warps ? warps : Warps;
    int* mine = counts + warp * bins;
    launch_dependents();
    for (int i = thread; i < warps * bins; i += Warps * 32) counts[i] = 0;
    wait_for_previous_grid();
    __syncthreads();

    int length = (count + warps * 32 - 1) / (warps * 32) * 32;
    int begin = warp * length, end = begin + length < count ? begin + length : count;
    int first[2], rows[2];
    for (int pass = 0; pass < 2; pass++)
    {
        for (int start = begin; start < end; start += 32 * Batch)
        {
            int expert[Batch];
#pragma unroll
            for (int b = 0; b < Batch; b++)
            {
                int row = start + b * 32 + lane;
                expert[b] = row < end ? expert_of(index[row], experts) : bins;
            }
#pragma unroll
            for (int b = 0; b < Batch; b++)
            {
                u32 same = __match_any_sync(0xFFFFFFFFu, expert[b]);
                int rank = __popc(same & ((1u << lane) - 1));
                if (expert[b] < bins && pass > 0) order[mine[expert[b]] + rank] = start + b * 32 + lane;
                __syncwarp();
                if (expert[b] < bins && rank == 0) mine[expert[b]] += __popc(same);
                __syncwarp();
            }
        }
        __syncthreads();
        if (pass > 0) return;

        // From counts to the first place of each warp's rows of an expert.
#pragma unroll
        for (int i = 0; i < 2; i++)
        {
            rows[i] = 0;
            for (int w = 0; w < warps && 2 * thread + i < bins; w++)
            {
                int has = counts[w * bins + 2 * thread + i];
                counts[w * bins + 2 * thread + i] = rows[i];
                rows[i] += has;
            }
        }
        int parts[2] = { (rows[0] + TOKENS - 1) / TOKENS, (rows[1] + TOKENS - 1) / TOKENS };
        int2 before = sums_before(rows[0] + rows[1], parts[0] + parts[1], warp, lane, warpSums);
        first[0] = before.x;
        first[1] = before.x + rows[0];
        int firstTile[2] = { before.y, before.y + parts[0] };
#pragma unroll
        for (int i = 0; i < 2; i++)
        {
            for (int w = 0; w < warps && 2 * thread + i < bins; w++) counts[w * bins + 2 * thread + i] += first[i];
            for (int tile = 0; tile < parts[i]; tile++)
                tiles[1 + firstTile[i] + tile] = int4{ 2 * thread + i, first[i], rows[i], firstTile[i] };
        }
        if (thread == Warps * 32 - 1) tiles[0].x = before.y + parts[0] + parts[1];
        __syncthreads();
    }
}
