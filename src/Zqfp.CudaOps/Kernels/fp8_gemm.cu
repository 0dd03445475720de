// Y[M, N] = Sx * (S * sum_k xq * w + B (A xq)) + bias for many tokens and weights in E4M3, one scale a row: expanded FP4 weights, whose
// values E4M3 holds exactly, or weights that were FP8 from the start.
//
// D = X W^T on wgmma.m64nFk32, both operands from shared memory. A block computes TokenRows tokens times FEATURES rows of W: two
// warpgroups multiply 64 tokens each, a producer warp feeds a ring of stages of 128 columns. Blocks work through tiles in such an order
// that those at work read the same few rows of W. Sums stay in the tensor core over all columns.
//
// grid = as many blocks as run at a time or fewer; 384 threads.
// FEATURES (a width of shared_wgmma.cuh), STAGES, RANK_BRANCH (0/1), STAGED_RANK (the rank where its constants go through
// shared memory, else 0), BIAS (0/1), OUTPUT (a type of hopper.cuh) come from the host.
// K is a multiple of 16, N of 8.
#include "hopper.cuh"
#include "shared_wgmma.cuh"

constexpr int TokenRows = 128;
constexpr int MathWarps = 8;
constexpr int MathThreads = MathWarps * 32;
constexpr int Columns = 128; // of a stage: a row of the swizzled layout
constexpr int TokenBytes = TokenRows * Columns;
// Tokens of a copy. Rows that are not there make a copy slow, so that a tile's tokens come in several and those without any are left out:
// what then lies in their place comes out as tokens that nobody stores.
constexpr int BoxRows = 16;
constexpr int WeightBytes = FEATURES * Columns;
constexpr int StageBytes = TokenBytes + WeightBytes;
constexpr int Sums = FEATURES / 2;
constexpr bool Staged = STAGED_RANK > 0;
constexpr int Eights = Staged ? STAGED_RANK / 8 : 1;
// What the epilogue reads of the layer's constants, a place for each warpgroup: row scales, biases, rows of B.
constexpr int BiasOffset = FEATURES * 4;
constexpr int FactorOffset = BiasOffset * (BIAS ? 2 : 1);
constexpr int ConstantBytes = FactorOffset + FEATURES * STAGED_RANK * 2;

struct DenseArguments
{
    const float* rowScales;   // S [N]
    const float* tokenScales; // Sx [M]
    const float* bias;        // [N]
    const u16* lowRankB;      // float16 [N, rank]
    const float* lowRankX;    // A xq [M, rank]
    void* output;             // [M, N]
    int rank;                 // a multiple of 8
    int tokens;               // M
    int rows;                 // N
    int columnBlocks;         // ceil(K / 128)
    int tokenTiles;           // ceil(M / 128)
    int tiles;                // token tiles times feature tiles
};

#include "ring.cuh"

// The warp has read the slot.
DEVICE void release(u32 emptyBarrier, int lane)
{
    __syncwarp();
    if (lane == 0) barrier_arrive(emptyBarrier);
}

DEVICE void produce(const TensorMap* tokenMap, const TensorMap* weightMap, const DenseArguments& g, Ring ring)
{
    ring.parity = 1;
    for (int tile = blockIdx.x; tile < g.tiles; tile += gridDim.x)
    {
        int token = tile % g.tokenTiles * TokenRows, row = tile / g.tokenTiles * FEATURES;
        int end = g.tokens - token < TokenRows ? g.tokens - token : TokenRows;
        int bytes = WeightBytes + (end + BoxRows - 1) / BoxRows * BoxRows * Columns;
        for (int block = 0; block < g.columnBlocks; block++, ring.advance())
        {
            barrier_wait(ring.empty_barrier(), ring.parity);
            barrier_arrive_expect(ring.full_barrier(), bytes);
            copy_box(ring.stage() + TokenBytes, weightMap, block * Columns, row, ring.full_barrier());
            for (int first = 0; first < end; first += BoxRows)
                copy_box(ring.stage() + first * Columns, tokenMap, block * Columns, token + first, ring.full_barrier());
        }
    }
}

// What four lanes hold of four blocks of eight columns, a pair of columns each, becomes a whole block a lane.
DEVICE uint4 gather_block(const u32 (&pairs)[4], int lane)
{
    bool odd = lane & 1, high = lane & 2;
    u32 first = __shfl_xor_sync(0xFFFFFFFFu, odd ? pairs[0] : pairs[1], 1);
    u32 second = __shfl_xor_sync(0xFFFFFFFFu, odd ? pairs[2] : pairs[3], 1);
    u32 a0 = odd ? first : pairs[0], a1 = odd ? pairs[1] : first;
    u32 a2 = odd ? second : pairs[2], a3 = odd ? pairs[3] : second;
    u32 b0 = __shfl_xor_sync(0xFFFFFFFFu, high ? a0 : a2, 2);
    u32 b1 = __shfl_xor_sync(0xFFFFFFFFu, high ? a1 : a3, 2);
    return high ? uint4{ b0, b1, a2, a3 } : uint4{ a0, a1, b0, b1 };
}

DEVICE void warpgroup_sync(int warpgroup) { asm volatile("bar.sync %0, 128;" :: "r"(warpgroup + 1) : "memory"); }

// Asks for the constants of a tile's rows, to have them when it has been multiplied. Rows past N are not there, and not looked at.
DEVICE void fetch_constants(const DenseArguments& g, u32 place, int row, int thread)
{
    for (int i = thread; i < FEATURES / 4; i += 128)
    {
        bool valid = row + i * 4 < g.rows;
        int from = valid ? row + i * 4 : 0;
        copy_16(place + i * 16, g.rowScales + from, valid);
        if (BIAS) copy_16(place + BiasOffset + i * 16, g.bias + from, valid);
    }
    constexpr int Pieces = FEATURES * STAGED_RANK / 8;
    for (int i = thread; i < Pieces; i += 128)
    {
        bool valid = row + i / Eights < g.rows;
        copy_16(place + FactorOffset + i * 16, g.lowRankB + (valid ? (u64)row * STAGED_RANK + i * 8 : 0), valid);
    }
}

// What the epilogue reads of a warp's 16 tokens, two of them a lane.
struct TokenValues
{
    float scale[2];
    u32 projected[Eights][4]; // A xq in the fragment order of tf32 products
    DEVICE void fragment(const DenseArguments& g, int token, int lane, int rank, u32 (&a)[4]) const
    {
        int from = rank + (lane & 3) * 2;
        float2 upper = token < g.tokens ? *(const float2*)(g.lowRankX + (u64)token * g.rank + from) : float2{ 0, 0 };
        float2 lower = token + 8 < g.tokens ? *(const float2*)(g.lowRankX + (u64)(token + 8) * g.rank + from) : float2{ 0, 0 };
        a[0] = to_tf32(upper.x), a[1] = to_tf32(lower.x), a[2] = to_tf32(upper.y), a[3] = to_tf32(lower.y);
    }
    DEVICE void load(const DenseArguments& g, int token, int lane)
    {
#pragma unroll
        for (int i = 0; i < 2; i++) scale[i] = token + 8 * i < g.tokens ? g.tokenScales[token + 8 * i] : 0.0f;
        if (!Staged) return;
#pragma unroll
        for (int e = 0; e < Eights; e++) fragment(g, token, lane, e * 8, projected[e]);
    }
};

// B (A xq) of a warp's 16 tokens and 32 rows of W, by tf32 products of eight ranks each. A sum does not care for the order of its terms,
// so that lane j of four takes the ranks 2 j and 2 j + 1 of the eight.
DEVICE void add_low_rank(const DenseArguments& g, const TokenValues& values, u32 place, int token, int row, int group, int lane, float (&value)[4][4])
{
    int part = (lane & 3) * 2;
    if (Staged)
    {
        u32 factor = place + FactorOffset + (group * 32 + (lane >> 2)) * STAGED_RANK * 2 + part * 2;
#pragma unroll
        for (int e = 0; e < Eights; e++)
#pragma unroll
            for (int j = 0; j < 4; j++)
            {
                u32 b0, b1;
                from_half_pair(load_shared(factor + j * 8 * STAGED_RANK * 2 + e * 16), b0, b1);
                multiply_tf32(value[j], values.projected[e], b0, b1);
            }
        return;
    }
    for (int r = 0; r < g.rank; r += 8)
    {
        u32 a[4];
        values.fragment(g, token, lane, r, a);
#pragma unroll
        for (int j = 0; j < 4; j++)
        {
            int n = row + group * 32 + j * 8 + (lane >> 2);
            u32 b0, b1;
            from_half_pair(n < g.rows ? *(const u32*)(g.lowRankB + (u64)n * g.rank + r + part) : 0u, b0, b1);
            multiply_tf32(value[j], a, b0, b1);
        }
    }
}

// Scales, branch and bias of a warp's 16 tokens, and out. `token` is the lane's first, `row` the tile's first row of W.
DEVICE void finish(const DenseArguments& g, const float (&sums)[Sums], const TokenValues& values, u32 place, int token, int row, int lane)
{
    bool upper = token < g.tokens, lower = token + 8 < g.tokens;
#pragma unroll
    for (int group = 0; group < FEATURES / 32; group++)
    {
        int first = row + group * 32;
        if (first >= g.rows) return;
        float value[4][4];
        u32 pair = place + (group * 32 + (lane & 3) * 2) * 4;
#pragma unroll
        for (int j = 0; j < 4; j++)
        {
            float2 scale = load_pair<1>(pair + j * 32, 0);
#pragma unroll
            for (int i = 0; i < 4; i++) value[j][i] = sums[group * 16 + j * 4 + i] * (i & 1 ? scale.y : scale.x);
        }
        if (RANK_BRANCH) add_low_rank(g, values, place, token, row, group, lane, value);
#pragma unroll
        for (int j = 0; j < 4; j++)
        {
            float2 bias = BIAS ? load_pair<1>(pair + BiasOffset + j * 32, 0) : float2{ 0, 0 };
#pragma unroll
            for (int i = 0; i < 4; i++) value[j][i] = value[j][i] * values.scale[i >> 1] + (i & 1 ? bias.y : bias.x);
        }
        if (sizeof(OUTPUT::Storage) == 4)
        {
#pragma unroll
            for (int j = 0; j < 4; j++)
            {
                int n = first + j * 8 + (lane & 3) * 2;
                if (n >= g.rows) continue;
                if (upper) OUTPUT::store_pair(g.output, (u64)token * g.rows + n, value[j][0], value[j][1]);
                if (lower) OUTPUT::store_pair(g.output, (u64)(token + 8) * g.rows + n, value[j][2], value[j][3]);
            }
            continue;
        }
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            u32 pairs[4];
#pragma unroll
            for (int j = 0; j < 4; j++) pairs[j] = OUTPUT::to_bits(value[j][2 * half]) | (u32)OUTPUT::to_bits(value[j][2 * half + 1]) << 16;
            uint4 block = gather_block(pairs, lane);
            int n = first + (lane & 3) * 8;
            if (n < g.rows && (half ? lower : upper)) *(uint4*)((u16*)g.output + (u64)(token + 8 * half) * g.rows + n) = block;
        }
    }
}

extern "C" __global__ void __launch_bounds__(MathThreads + 128, 1)
fp8_gemm(const __grid_constant__ TensorMap tokenMap, const __grid_constant__ TensorMap weightMap, const DenseArguments g)
{
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ __align__(8) u64 barriers[2 * STAGES];
    u32 barrierBase = shared_address(barriers);
    Ring ring = { shared_address(shared), barrierBase, barrierBase + STAGES * 8, 0, 0 };
    int thread = threadIdx.x, lane = thread & 31;
    int warp = __shfl_sync(0xFFFFFFFFu, thread >> 5, 0); // known to be uniform

    launch_dependents();
    if (thread == MathThreads)
    {
        for (int i = 0; i < STAGES; i++)
        {
            barrier_init(ring.full + i * 8, 1);
            barrier_init(ring.empty + i * 8, MathWarps);
        }
        barrier_init_fence();
    }
    __syncthreads();
    wait_for_previous_grid();

    if (warp >= MathWarps)
    {
        keep_registers<40>();
        if (thread == MathThreads) produce(&tokenMap, &weightMap, g, ring);
    }
    else
    {
        take_registers<232>();
        int warpgroup = warp >> 2;
        u32 place = ring.stages + STAGES * StageBytes + warpgroup * ConstantBytes;
        for (int tile = blockIdx.x; tile < g.tiles; tile += gridDim.x)
        {
            int token = tile % g.tokenTiles * TokenRows + warp * 16 + (lane >> 2), row = tile / g.tokenTiles * FEATURES;
            fetch_constants(g, place, row, thread & 127);
            TokenValues values;
            values.load(g, token, lane);
            float sums[Sums];
#pragma unroll
            for (int i = 0; i < Sums; i++) sums[i] = 0.0f;
            u32 read = 0;
            for (int block = 0; block < g.columnBlocks; block++, ring.advance())
            {
                barrier_wait(ring.full_barrier(), ring.parity);
                u32 tokens = swizzled_descriptor(ring.stage() + warpgroup * 64 * Columns);
                u32 weights = swizzled_descriptor(ring.stage() + TokenBytes);
                wgmma_fence();
#pragma unroll
                for (int step = 0; step < Columns / 32; step++)
                    SharedWgmma<FEATURES>::multiply(sums, tokens + step * 2, weights + step * 2);
                wgmma_commit();
                // The stage before this one has been read once its products are done.
                wgmma_wait<1>();
                if (block > 0) release(read, lane);
                read = ring.empty_barrier();
            }
            wgmma_wait<0>();
            release(read, lane);
            copies_wait();
            warpgroup_sync(warpgroup);
            finish(g, sums, values, place, token, row, lane);
            warpgroup_sync(warpgroup); // the place may be written again
        }
    }
}
