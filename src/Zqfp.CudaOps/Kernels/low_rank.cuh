// The low-rank branch of the fused products, whose constants and arguments it uses: B (A xq) added to the sums of a warp.
#pragma once

// The constants of the low-rank branch where few tokens leave room for them: fetched into shared memory while the tile is
// multiplied. Rows are padded by 16 bytes against bank conflicts.
struct LowRankPlace
{
    u32 b, x;               // of this warp's 16 rows of B, and of the block's tokens
    int stride;             // bytes of a row of B; twice as many less 16 of a token
};

DEVICE LowRankPlace low_rank_place(const GemmArguments& g, u32 start, int warp)
{
    int stride = g.rank * 2 + 16;
    return { start + warp * 16 * stride, start + MathWarps * 16 * stride, stride };
}

DEVICE void fetch_low_rank_rows(const GemmArguments& g, const LowRankPlace& place, int warpRow, int lane)
{
    int pieces = g.rank >> 3;
    for (int i = lane; i < 16 * pieces; i += 32)
    {
        int row = i / pieces, piece = i - row * pieces;
        bool valid = warpRow + row < g.rows;
        copy_16(place.b + row * place.stride + piece * 16, g.lowRankB + (u64)(valid ? warpRow + row : 0) * g.rank + piece * 8, valid);
    }
}

DEVICE void fetch_low_rank_tokens(const GemmArguments& g, const LowRankPlace& place, int thread, int firstToken, int tokenEnd)
{
    int pieces = g.rank >> 2;
    for (int i = thread; i < TOKENS * pieces; i += MathThreads)
    {
        int token = i / pieces, piece = i - token * pieces;
        bool valid = firstToken + token < tokenEnd;
        copy_16(place.x + token * (2 * place.stride - 16) + piece * 16, g.lowRankX + (u64)(valid ? firstToken + token : 0) * g.rank + piece * 4, valid);
    }
}

// Adds B[rows, :] . (A xq)[tokens, :] to a warp's 16 rows, in its fragment order, by tf32 products of 8 ranks each. A sum
// does not care for the order of its terms, so lane j of four takes the ranks j r/4 .. (j + 1) r/4 - 1, two a product.
// The ranks of a cluster take turns. Of the lane's token in the i-th eight of the tile, `tokens` tells whether it has one, and where its A xq
// begins, from the lane's ranks on.
template <class Tokens>
DEVICE void add_low_rank_from_memory(const GemmArguments& g, int warpRow, int rank, int lane, const Tokens& tokens, float (&total)[Accumulators])
{
    int quarter = g.rank >> 2, part = (lane & 3) * quarter, local = lane >> 2;
    int upper = warpRow + local, lower = upper + 8;
    const u16* upperB = g.lowRankB + (u64)(upper < g.rows ? upper : 0) * g.rank + part;
    const u16* lowerB = g.lowRankB + (u64)(lower < g.rows ? lower : 0) * g.rank + part;
#pragma unroll 2
    for (int r = 2 * rank; r < quarter; r += 2 * CLUSTER)
    {
        u32 a[4];
        from_half_pair(*(const u32*)(upperB + r), a[0], a[2]);
        from_half_pair(*(const u32*)(lowerB + r), a[1], a[3]);
#pragma unroll
        for (int i = 0; i < TOKENS / 8; i++)
        {
            float2 pair = tokens.has(i) ? *(const float2*)(tokens.of(i) + r) : float2{ 0, 0 };
            multiply_tf32(&total[4 * i], a, to_tf32(pair.x), to_tf32(pair.y));
        }
    }
}

// Tokens that follow each other.
struct TokenRange
{
    const float* x;         // of the lane's first token
    int token, end, rank;
    DEVICE bool has(int i) const { return token + i * 8 < end; }
    DEVICE const float* of(int i) const { return x + (u64)i * 8 * rank; }
};

DEVICE void add_low_rank(const GemmArguments& g, const LowRankPlace& place, int warpRow, int rank, int lane, int firstToken, int tokenEnd, float (&total)[Accumulators])
{
    lane = keep_here(lane);
    if (!STAGED)
    {
        int token = firstToken + (lane >> 2);
        const float* x = g.lowRankX + (u64)token * g.rank + (lane & 3) * (g.rank >> 2);
        add_low_rank_from_memory(g, warpRow, rank, lane, TokenRange{ x, token, tokenEnd, g.rank }, total);
        return;
    }
    int quarter = g.rank >> 2, part = (lane & 3) * quarter, local = lane >> 2;
    u32 b = place.b + local * place.stride + part * 2;
    u32 x = place.x + local * (2 * place.stride - 16) + part * 4;
    for (int r = 2 * rank; r < quarter; r += 2 * CLUSTER)
    {
        u32 a[4];
        from_half_pair(load_shared(b + r * 2), a[0], a[2]);
        from_half_pair(load_shared(b + 8 * place.stride + r * 2), a[1], a[3]);
#pragma unroll
        for (int i = 0; i < TOKENS / 8; i++)
        {
            float2 pair = load_pair<1>(x + i * 8 * (2 * place.stride - 16) + r * 4, 0);
            multiply_tf32(&total[4 * i], a, to_tf32(pair.x), to_tf32(pair.y));
        }
    }
}
