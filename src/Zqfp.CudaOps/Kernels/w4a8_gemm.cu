// Y[M, N] = Sx * (S * sum_k xq * fp4(w) * 2^-k + B (A xq)) + bias on FP8 tensor cores.
//
// D^T = W * X^T: the weights are the register operand, decoded from shared memory; the activations are the
// shared-memory operand in their natural layout. One producer warp feeds a ring of stages (256 columns each) and runs
// ahead over row tiles; WARPGROUPS math warpgroups own 64 rows each. The K range is split over the CLUSTER CTAs of a
// cluster, whose partial sums are added in rank order, so that every run gives the same bits. Partial sums leave the
// tensor core's short accumulator after every group (256 columns at most), where the group's scale is applied on the way.
//
// grid = (projectors + row tiles or fewer, CLUSTER, token tiles), cluster = (1, CLUSTER, 1), WARPGROUPS math warpgroups and a producer
// (a warp, or a warpgroup for wide tiles).
#include "hopper.cuh"
#include "wgmma.cuh"
#include "packed.cuh"

// TOKENS, WARPGROUPS, CLUSTER, STAGES, RANK_BRANCH (0: none, 1: from global memory,
// 2: through shared memory), PROJECTING (0/1), BIAS (0/1), OUTPUT (a type of hopper.cuh) come from the host.
constexpr int MathThreads = WARPGROUPS * 128;
constexpr int MathWarps = WARPGROUPS * 4;
// Wide tiles need more registers than an even share: a whole producer warpgroup then gives most of its own away.
constexpr bool MoveRegisters = TOKENS >= 128;
constexpr int Threads = MathThreads + (MoveRegisters ? 128 : 32);
constexpr int Rows = WARPGROUPS * BlockRows;
constexpr int BoxBytes = TOKENS * 128;
constexpr int TokenBytes = 2 * BoxBytes;
constexpr int StageBytes = (TokenBytes + WARPGROUPS * BlockBytes + 1023) / 1024 * 1024;
constexpr int Accumulators = TOKENS / 2;
constexpr bool STAGED = RANK_BRANCH == 2;
// The epilogue turns 16 rows of a warp around in shared memory, so many tokens at a time; a padded row of 20 floats a token.
constexpr int TurnTokens = CLUSTER == 1 && TOKENS > 64 ? 16 : TOKENS;
constexpr int TurnStride = 20;
constexpr int TurnBytes = TurnTokens * TurnStride * 4;
// Four tokens are finished at once by a warp; the ranks of a cluster take turns.
constexpr int Rounds = TurnTokens / 4;
constexpr int RoundsPerRank = (Rounds + CLUSTER - 1) / CLUSTER;
constexpr int Chunk = RoundsPerRank < 4 ? RoundsPerRank : 4;

struct GemmArguments
{
    const u8* weights;      // packed blocks [row tiles of 64][K blocks]
    const float* rowScales; // S * 2^-6 [N padded to 64]
    const float* tokenScales; // Sx [M]
    const float* bias;      // [N]
    const u16* lowRankB;    // float16 [N, rank]
    float* lowRankX;        // A xq, [M, rank]; computed here where there are projectors
    void* output;           // [M, N]
    int rank;
    int tokens;             // M
    int rows;               // N
    int rowBlocks;          // ceil(N / 64)
    int columnBlocks;       // ceil(K / 256)
    int columns;            // K
    int projectors;         // blocks along x that compute A xq before the others need it; 0: it is there already
    const u16* lowRankA;    // float16 [rank, K]
    const u8* codes;        // Xq [M, K]
    u32* counters;          // of projection.cuh; zeros before and after
    float* parts;           // of A xq
};

// Whether the layer has A, and its product may take A xq itself.
constexpr bool PROJECTS = STAGED && PROJECTING;

#include "low_rank.cuh"
#include "half_products.cuh"
#include "projection.cuh"
#include "ring.cuh"
#include "row_tile.cuh"

DEVICE void load_tokens(const TensorMap* map, const Ring& ring, int block, int token)
{
    barrier_arrive_expect(ring.full_barrier(), TokenBytes);
    copy_box(ring.stage(), map, block * BlockColumns, token, ring.full_barrier());
    copy_box(ring.stage() + BoxBytes, map, block * BlockColumns + 128, token, ring.full_barrier());
}

// Sums the ranks' parts of this warp's rows and of the tokens that are this rank's turn, and writes them out.
// `turn` is the warp's place in shared memory, `firstToken` the token of its first row there, `warpRows` its 16 row
// scales and 16 biases, `row` the first of its rows.
DEVICE void finish_tokens(const GemmArguments& g, u32 turn, const float* warpRows, int row, int rank, int lane, int firstToken, int tokenEnd, const float* tokenScales)
{
    lane = keep_here(lane);
    int pair = (lane & 7) * 2;
    row += pair;
    float2 bias = BIAS ? *(const float2*)(warpRows + 16 + pair) : float2{ 0, 0 };
    u32 place = turn + ((lane >> 3) * TurnStride + pair) * 4;
#pragma unroll 1
    for (int base = 0; base < RoundsPerRank; base += Chunk)
    {
        float value[Chunk][2];
        int first = (base * CLUSTER + rank) * 4; // of the tokens in shared memory
        int token = firstToken + first + (lane >> 3);
#pragma unroll
        for (int c = 0; c < Chunk; c++)
        {
            value[c][0] = value[c][1] = 0.0f;
#pragma unroll
            for (int r = 0; r < CLUSTER; r++)
                if (token + c * 4 * CLUSTER < tokenEnd)
                {
                    float2 part = load_pair<CLUSTER>(place + (first + c * 4 * CLUSTER) * TurnStride * 4, r);
                    value[c][0] += part.x;
                    value[c][1] += part.y;
                }
        }
#pragma unroll
        for (int c = 0; c < Chunk; c++)
        {
            int t = token + c * 4 * CLUSTER;
            if (t >= tokenEnd) continue;
            float scale = tokenScales[t % TOKENS];
            store_pair(g, t, row, value[c][0] * scale + bias.x, value[c][1] * scale + bias.y);
        }
    }
}

extern "C" __global__ void __launch_bounds__(Threads, MIN_CTAS)
w4a8_gemm(const __grid_constant__ TensorMap tokenMap, const GemmArguments g)
{
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ __align__(8) u64 barriers[2 * STAGES + 2];
    __shared__ float tokenScales[TOKENS];
    __shared__ __align__(16) float rowValues[MathWarps][32];

    u32 barrierBase = shared_address(barriers);
    u32 ready = barrierBase + 2 * STAGES * 8, consumed = ready + 8;
    Ring ring = { shared_address(shared), barrierBase, barrierBase + STAGES * 8, 0, 0 };

    int thread = threadIdx.x, lane = thread & 31;
    int warp = __shfl_sync(0xFFFFFFFFu, thread >> 5, 0); // known to be uniform
    int rank = blockIdx.y;
    int firstToken = blockIdx.z * TOKENS;
    int firstBlock = g.columnBlocks * rank / CLUSTER;
    int lastBlock = g.columnBlocks * (rank + 1) / CLUSTER;
    int tiles = (g.rowBlocks + WARPGROUPS - 1) / WARPGROUPS;
    int tokenEnd = g.tokens < firstToken + TOKENS ? g.tokens : firstToken + TOKENS;
    int firstTile = PROJECTS ? (int)blockIdx.x - g.projectors : blockIdx.x, tileStep = PROJECTS ? gridDim.x - g.projectors : gridDim.x;

    launch_dependents();
    if (PROJECTS && firstTile < 0)
    {
        // Whole clusters, whose blocks have nothing to say to each other.
        if (warp < MathWarps) project(g, (blockIdx.x * CLUSTER + rank) * MathWarps + warp, lane, firstToken, tokenEnd);
        return;
    }

    // What the first tile needs of the layer's constants depends on nothing either.
    LowRankPlace lowRank = low_rank_place(g, ring.stages + STAGES * StageBytes + MathWarps * TurnBytes, warp);
    if (warp < MathWarps && firstTile < tiles)
    {
        fetch_rows(g, shared_address(rowValues[warp]), firstTile * Rows + warp * 16, lane);
        if (STAGED) fetch_low_rank_rows(g, lowRank, firstTile * Rows + warp * 16, lane);
    }

    u64 policy = evict_first_policy();
    int ahead = 0; // stages whose weights were asked for before the tokens could be
    if (thread == MathThreads)
    {
        for (int i = 0; i < STAGES; i++)
        {
            barrier_init(ring.full + i * 8, 1);
            barrier_init(ring.empty + i * 8, MathWarps);
        }
        barrier_init(ready, CLUSTER * MathWarps);
        barrier_init(consumed, CLUSTER * MathWarps);
        barrier_init_fence();
        // The weights depend on nothing: ask for them before the previous kernel has ended.
        Ring start = ring;
        for (int tile = firstTile; tile < tiles && ahead < STAGES; tile += tileStep)
#pragma unroll 1
            for (int block = firstBlock; block < lastBlock && ahead < STAGES; block++, ahead++, start.advance())
                load_weights<false>(g, start, tile, block, policy);
    }
    __syncthreads();
    if (CLUSTER > 1) { cluster_arrive(); cluster_wait(); }
    wait_for_previous_grid();

    if (warp >= MathWarps)
    {
        if (MoveRegisters) keep_registers<40>();
        if (thread == MathThreads)
        {
            int count = 0;
            ring.parity = 1;
            for (int tile = firstTile; tile < tiles; tile += tileStep)
                for (int block = firstBlock; block < lastBlock; block++, count++, ring.advance())
                {
                    if (count >= ahead)
                    {
                        barrier_wait(ring.empty_barrier(), ring.parity);
                        load_weights<false>(g, ring, tile, block, policy);
                    }
                    load_tokens(&tokenMap, ring, block, firstToken);
                }
        }
    }
    else
    {
        if (MoveRegisters) take_registers<232>();
        if (thread < TOKENS && firstToken + thread < tokenEnd) tokenScales[thread] = g.tokenScales[firstToken + thread];
        math_sync<MathThreads>();
        u32 turn = ring.stages + STAGES * StageBytes + warp * TurnBytes;
        u32 place = turn + (lane & 3) * 2 * TurnStride * 4 + (lane >> 2) * 4;
        // All blocks want the same few lines of A xq: many of them not while all wait for their first tokens too.
        // Where this very grid computes them, as late as possible.
        int lowRankBlock = firstBlock + (g.rank > 16 ? 4 : 0);
        lowRankBlock = g.projectors == 0 && lowRankBlock < lastBlock ? lowRankBlock : lastBlock - 1;
        u32 parity = 0;
        for (int tile = firstTile; tile < tiles; tile += tileStep, parity ^= 1)
        {
            int warpRow = tile * Rows + warp * 16;
            if (tile != firstTile)
            {
                fetch_rows(g, shared_address(rowValues[warp]), warpRow, lane);
                if (STAGED) fetch_low_rank_rows(g, lowRank, warpRow, lane);
            }

            float total[Accumulators];
#pragma unroll
            for (int i = 0; i < Accumulators; i++) total[i] = 0.0f;
            for (int block = firstBlock; block < lastBlock; block++, ring.advance())
            {
                if (STAGED && block == lowRankBlock && tile == firstTile)
                {
                    if (PROJECTS) wait_for_projection(g, lane);
                    fetch_low_rank_tokens(g, lowRank, thread, firstToken, tokenEnd);
                }
                barrier_wait(ring.full_barrier(), ring.parity);
                multiply_stage(ring.stage(), warp >> 2, thread & 127, total);
                __syncwarp();
                if (lane == 0) barrier_arrive(ring.empty_barrier());
            }

            copies_wait();
            if (STAGED) math_sync<MathThreads>(); // the tokens were fetched by all warps
            if (PROJECTS && tile == firstTile && thread == 0) leave_projection(g);
            __syncwarp();
#pragma unroll
            for (int i = 0; i < Accumulators; i++) total[i] *= rowValues[warp][(lane >> 2) + ((i & 2) ? 8 : 0)];
            if (RANK_BRANCH) add_low_rank(g, lowRank, warpRow, rank, lane, firstToken, tokenEnd, total);
#pragma unroll
            for (int base = 0; base < TOKENS; base += TurnTokens)
            {
                if (CLUSTER > 1) barrier_wait_cluster(consumed, parity ^ 1);
#pragma unroll
                for (int i = 0; i < TurnTokens / 2; i++)
                    store_shared(place + ((i >> 2) * 8 + (i & 1)) * TurnStride * 4 + ((i & 2) ? 32 : 0), total[base / 2 + i]);
                __syncwarp();
                if (CLUSTER > 1)
                {
                    if (lane < CLUSTER) barrier_arrive_peer(peer_address<CLUSTER>(ready, lane));
                    barrier_wait_cluster(ready, parity);
                }
                finish_tokens(g, turn, rowValues[warp], warpRow, rank, lane, firstToken + base, tokenEnd, tokenScales);
                __syncwarp();
                if (CLUSTER > 1 && lane < CLUSTER) barrier_arrive_peer(peer_address<CLUSTER>(consumed, lane));
            }
        }
    }
    // No CTA leaves while another may still read its partial sums.
    if (CLUSTER > 1) { cluster_arrive(); cluster_wait(); }
}
