// Y[M, N] = Sx * (S * sum_k xq * fp4(w) * 2^-k + B (A xq)) + bias on FP8 tensor cores.
//
// D^T = W * X^T: the weights are the register operand, decoded from shared memory; the activations are the
// shared-memory operand in their natural layout. One producer warp feeds a ring of stages (256 columns each) and runs
// ahead over row tiles; WARPGROUPS math warpgroups own 64 rows each. The K range is split over the CLUSTER CTAs of a
// cluster, whose partial sums are added in rank order, so that every run gives the same bits. Partial sums leave the
// tensor core's short accumulator every 256 columns (every group, where each group has a float scale).
//
// grid = (row tiles or fewer, CLUSTER, token tiles), cluster = (1, CLUSTER, 1), WARPGROUPS math
// warpgroups and a producer (a warp, or a warpgroup for wide tiles).
#include "hopper.cuh"
#include "wgmma.cuh"
#include "packed.cuh"

// TOKENS, WARPGROUPS, CLUSTER, STAGES, RANK_BRANCH (0/1), BIAS (0/1), OUTPUT (a type of hopper.cuh) come from the host.
constexpr int MathThreads = WARPGROUPS * 128;
// Wide tiles need more registers than an even share: a whole producer warpgroup then gives most of its own away.
constexpr bool MoveRegisters = TOKENS >= 128;
constexpr int Threads = MathThreads + (MoveRegisters ? 128 : 32);
constexpr int Rows = WARPGROUPS * BlockRows;
constexpr int BoxBytes = TOKENS * 128;
constexpr int TokenBytes = 2 * BoxBytes;
constexpr int StageBytes = (TokenBytes + WARPGROUPS * BlockBytes + 1023) / 1024 * 1024;
constexpr int PartialStride = Rows + 4;
constexpr int SliceRows = Rows / CLUSTER;
constexpr int TokensAtOnce = MathThreads / SliceRows;
constexpr int TokensPerThread = (TOKENS + TokensAtOnce - 1) / TokensAtOnce;
// Outputs a thread finishes at once; bounds the registers of the epilogue.
constexpr int Chunk = TokensPerThread < 8 ? TokensPerThread : 8;
constexpr int Accumulators = TOKENS / 2;

struct GemmArguments
{
    const u8* weights;      // packed blocks [row tiles of 64][K blocks]
    const float* rowScales; // S * 2^-6 [N padded to 64]
    const float* tokenScales; // Sx [M]
    const float* bias;      // [N]
    const u16* lowRankB;    // float16 [N, rank]
    const float* lowRankX;  // A xq, [M, rank]
    void* output;           // [M, N]
    int rank;
    int tokens;             // M
    int rows;               // N
    int rowBlocks;          // ceil(N / 64)
    int columnBlocks;       // ceil(K / 256)
};

struct Ring
{
    u32 stages, full, empty;
    int slot;
    u32 parity;
    DEVICE u32 stage() const { return stages + slot * StageBytes; }
    DEVICE u32 full_barrier() const { return full + slot * 8; }
    DEVICE u32 empty_barrier() const { return empty + slot * 8; }
    DEVICE void advance()
    {
        if (++slot == STAGES) { slot = 0; parity ^= 1; }
    }
};

DEVICE int weight_blocks(const GemmArguments& g, int tile)
{
    int left = g.rowBlocks - tile * WARPGROUPS;
    return left < WARPGROUPS ? left : WARPGROUPS;
}

DEVICE void load_weights(const GemmArguments& g, const Ring& ring, int tile, int block, u64 policy)
{
    u32 target = ring.stage() + TokenBytes;
    int count = weight_blocks(g, tile);
    barrier_expect(ring.full_barrier(), count * BlockBytes);
    for (int i = 0; i < count; i++)
    {
        const u8* source = g.weights + ((u64)(tile * WARPGROUPS + i) * g.columnBlocks + block) * BlockBytes;
        copy_bulk(target + i * BlockBytes, source, BlockBytes, ring.full_barrier(), policy);
    }
}

DEVICE void load_tokens(const TensorMap* map, const Ring& ring, int block, int token)
{
    barrier_arrive_expect(ring.full_barrier(), TokenBytes);
    copy_box(ring.stage(), map, block * BlockColumns, token, ring.full_barrier());
    copy_box(ring.stage() + BoxBytes, map, block * BlockColumns + 128, token, ring.full_barrier());
}

// One stage: decode 64 x 256 weights of this warpgroup and multiply; `total` += their product.
DEVICE void multiply_stage(const Ring& ring, const MagnitudeTable* tables, int warpgroup, int thread, float (&total)[Accumulators])
{
    u32 block = ring.stage() + TokenBytes + warpgroup * BlockBytes;
    // Scales of the thread's two rows lie side by side: [group][16 * warp + 2 * quad + {0, 1}].
    u32 scales = block + CodeBytes + (((thread >> 5) << 4) + (((thread & 31) >> 2) << 1)) * (SCALED ? 4 : 1);
    float sum[Accumulators];
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        u32 words[16 / 2];
#pragma unroll
        for (int v = 0; v < 2; v++)
            asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                : "=r"(words[4 * v]), "=r"(words[4 * v + 1]), "=r"(words[4 * v + 2]), "=r"(words[4 * v + 3])
                : "r"(block + (half * 2 + v) * 2048 + thread * 16));
        u32 a[4][4];
        MagnitudeTable upper = unit_table(), lower = upper;
#pragma unroll
        for (int s = 0; s < 4; s++)
        {
            int step = half * 4 + s;
            if (!SCALED && (s == 0 || step % StepsPerGroup == 0))
            {
                u16 pair;
                asm volatile("ld.shared.u16 %0, [%1];" : "=h"(pair) : "r"(scales + step / StepsPerGroup * BlockRows));
                upper = tables[pair & 0xFF];
                lower = tables[pair >> 8];
            }
            decode8(words[2 * s], upper, a[s][0], a[s][2]);
            decode8(words[2 * s + 1], lower, a[s][1], a[s][3]);
        }
        u64 tokens = swizzled_descriptor(ring.stage() + half * BoxBytes);
        bool fresh = half == 0 || (SCALED && GROUP < 256);
        wgmma_fence();
#pragma unroll
        for (int s = 0; s < 4; s++) Wgmma<TOKENS>::multiply(sum, a[s], tokens + s * 2, !(fresh && s == 0));
        wgmma_commit();
        if (SCALED && (GROUP < 256 || half == 1))
        {
            wgmma_wait<0>();
            float upperScale, lowerScale;
            asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];"
                : "=f"(upperScale), "=f"(lowerScale) : "r"(scales + (GROUP < 256 ? half : 0) * BlockRows * 4));
#pragma unroll
            for (int i = 0; i < Accumulators; i++) total[i] += sum[i] * ((i & 2) ? lowerScale : upperScale);
        }
    }
    if (!SCALED)
    {
        wgmma_wait<0>();
#pragma unroll
        for (int i = 0; i < Accumulators; i++) total[i] += sum[i];
    }
}

// The sum, over the CTAs of the cluster in rank order, of their partial sums of one row and a chunk of tokens.
DEVICE void add_partials(u32 partials, int firstToken, int tokenEnd, float (&value)[Chunk])
{
#pragma unroll
    for (int i = 0; i < Chunk; i++) value[i] = 0.0f;
#pragma unroll
    for (int rank = 0; rank < CLUSTER; rank++)
    {
        u32 peer = peer_address(partials, rank);
#pragma unroll
        for (int i = 0; i < Chunk; i++)
        {
            int token = firstToken + i * TokensAtOnce;
            if (token < tokenEnd) value[i] += load_peer(peer + token * PartialStride * 4);
        }
    }
}

// The sum of the ranks' contributions to one output, in float32: B[row, :] . (A xq)[token, :].
DEVICE void add_low_rank(const GemmArguments& g, int row, int firstToken, int tokenEnd, float (&value)[Chunk])
{
    const u16* b = g.lowRankB + (u64)row * g.rank;
    for (int r = 0; r < g.rank; r += 8)
    {
        uint4 packed = *(const uint4*)(b + r);
        u32 words[4] = { packed.x, packed.y, packed.z, packed.w };
        float factor[8];
#pragma unroll
        for (int i = 0; i < 8; i++) factor[i] = half_to_float((u16)(words[i >> 1] >> (16 * (i & 1))));
#pragma unroll
        for (int i = 0; i < Chunk; i++)
        {
            int token = firstToken + i * TokensAtOnce;
            if (token >= tokenEnd) continue;
            const float4* x = (const float4*)(g.lowRankX + (u64)token * g.rank + r);
            float4 x0 = x[0], x1 = x[1];
            value[i] += factor[0] * x0.x + factor[1] * x0.y + factor[2] * x0.z + factor[3] * x0.w
                + factor[4] * x1.x + factor[5] * x1.y + factor[6] * x1.z + factor[7] * x1.w;
        }
    }
}

extern "C" __global__ void __launch_bounds__(Threads, MIN_CTAS)
w4a8_gemm(const __grid_constant__ TensorMap tokenMap, const GemmArguments g)
{
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ __align__(8) u64 barriers[2 * STAGES + 2];
    __shared__ MagnitudeTable tables[16];

    u32 barrierBase = shared_address(barriers);
    u32 ready = barrierBase + 2 * STAGES * 8, consumed = ready + 8;
    Ring ring = { shared_address(shared), barrierBase, barrierBase + STAGES * 8, 0, 0 };
    u32 partial = ring.stages + STAGES * StageBytes;

    int thread = threadIdx.x;
    int split = blockIdx.y;
    int firstToken = blockIdx.z * TOKENS;
    int firstBlock = g.columnBlocks * split / CLUSTER;
    int lastBlock = g.columnBlocks * (split + 1) / CLUSTER;
    int tiles = (g.rowBlocks + WARPGROUPS - 1) / WARPGROUPS;

    launch_dependents();
    fill_tables(tables, thread);
    u64 policy = evict_first_policy();
    int ahead = 0; // stages whose weights were asked for before the tokens could be
    if (thread == MathThreads)
    {
        for (int i = 0; i < STAGES; i++)
        {
            barrier_init(ring.full + i * 8, 1);
            barrier_init(ring.empty + i * 8, WARPGROUPS * 4);
        }
        barrier_init(ready, CLUSTER);
        barrier_init(consumed, CLUSTER);
        barrier_init_fence();
        // The weights depend on nothing: ask for them before the previous kernel has ended.
        Ring start = ring;
        for (int tile = blockIdx.x; tile < tiles && ahead < STAGES; tile += gridDim.x)
            for (int block = firstBlock; block < lastBlock && ahead < STAGES; block++, ahead++, start.advance())
                load_weights(g, start, tile, block, policy);
    }
    __syncthreads();
    if (CLUSTER > 1) { cluster_arrive(); cluster_wait(); }
    wait_for_previous_grid();

    if (thread >= MathThreads)
    {
        if (MoveRegisters) keep_registers<40>();
        if (thread == MathThreads)
        {
            int count = 0;
            ring.parity = 1;
            for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x)
                for (int block = firstBlock; block < lastBlock; block++, count++, ring.advance())
                {
                    if (count >= ahead)
                    {
                        barrier_wait(ring.empty_barrier(), ring.parity);
                        load_weights(g, ring, tile, block, policy);
                    }
                    load_tokens(&tokenMap, ring, block, firstToken);
                }
        }
    }
    else
    {
        if (MoveRegisters) take_registers<232>();
        int warpgroup = thread >> 7, lane = thread & 31, warp = (thread >> 5) & 3;
        int fragmentRow = warpgroup * 64 + warp * 16 + (lane >> 2);
        int fragmentToken = (lane & 3) * 2;
        int sliceRow = thread % SliceRows;
        int sliceToken = firstToken + thread / SliceRows;
        int tokenEnd = g.tokens < firstToken + TOKENS ? g.tokens : firstToken + TOKENS;
        u32 parity = 0;
        for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x, parity ^= 1)
        {
            float total[Accumulators];
#pragma unroll
            for (int i = 0; i < Accumulators; i++) total[i] = 0.0f;
            for (int block = firstBlock; block < lastBlock; block++, ring.advance())
            {
                barrier_wait(ring.full_barrier(), ring.parity);
                multiply_stage(ring, tables, warpgroup, thread & 127, total);
                __syncwarp();
                if (lane == 0) barrier_arrive(ring.empty_barrier());
            }

            barrier_wait_cluster(consumed, parity ^ 1);
            float* own = (float*)(shared + STAGES * StageBytes);
#pragma unroll
            for (int i = 0; i < Accumulators; i++)
            {
                int token = fragmentToken + (i >> 2) * 8 + (i & 1);
                own[token * PartialStride + fragmentRow + ((i & 2) ? 8 : 0)] = total[i];
            }
            math_sync<MathThreads>();
            if (thread < CLUSTER) barrier_arrive_peer(peer_address(ready, thread));
            barrier_wait_cluster(ready, parity);

            int row = tile * Rows + split * SliceRows + sliceRow;
            float rowScale = row < g.rows ? g.rowScales[row] : 0.0f;
            float bias = BIAS && row < g.rows ? g.bias[row] : 0.0f;
#pragma unroll 1
            for (int token = sliceToken; token < tokenEnd; token += Chunk * TokensAtOnce)
            {
                float value[Chunk];
                add_partials(partial + (split * SliceRows + sliceRow) * 4, token - firstToken, tokenEnd - firstToken, value);
                if (row >= g.rows) continue;
#pragma unroll
                for (int i = 0; i < Chunk; i++) value[i] *= rowScale;
                if (RANK_BRANCH) add_low_rank(g, row, token, tokenEnd, value);
#pragma unroll
                for (int i = 0; i < Chunk; i++)
                {
                    int t = token + i * TokensAtOnce;
                    if (t < tokenEnd) OUTPUT::store(g.output, (u64)t * g.rows + row, value[i] * g.tokenScales[t] + bias);
                }
            }
            math_sync<MathThreads>();
            if (thread < CLUSTER) barrier_arrive_peer(peer_address(consumed, thread));
        }
    }
    // No CTA leaves while another may still read its partial sums.
    if (CLUSTER > 1) { cluster_arrive(); cluster_wait(); }
}
