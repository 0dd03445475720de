// What the fused products do with a tile of rows of packed weights. TOKENS, WARPGROUPS and OUTPUT are the host's; GemmArguments, Ring,
// TokenBytes, BoxBytes, Accumulators and STAGED are the kernel's. A stage is the tokens' two boxes, and behind them a block of weights for
// each warpgroup.
#pragma once

// Asks for a block of weights for each warpgroup, of which there are fewer at N's end. The stage's barrier is told of their bytes; where
// Arrives says so, that is the arrival of who asks too.
template <bool Arrives>
DEVICE void load_weights(const GemmArguments& g, const Ring& ring, int tile, int block, u64 policy)
{
    u32 target = ring.stage() + TokenBytes;
    int left = g.rowBlocks - tile * WARPGROUPS;
    int count = left < WARPGROUPS ? left : WARPGROUPS;
    if (Arrives) barrier_arrive_expect(ring.full_barrier(), count * BlockBytes);
    else barrier_expect(ring.full_barrier(), count * BlockBytes);
    for (int i = 0; i < count; i++)
    {
        const u8* source = g.weights + ((u64)(tile * WARPGROUPS + i) * g.columnBlocks + block) * BlockBytes;
        copy_bulk(target + i * BlockBytes, source, BlockBytes, ring.full_barrier(), policy);
    }
}

// One stage: decode 64 x 256 weights of this warpgroup and multiply; `total` += their scaled product.
DEVICE void multiply_stage(u32 stage, int warpgroup, int thread, float (&total)[Accumulators])
{
    u32 block = stage + TokenBytes + warpgroup * BlockBytes;
    u32 codes = block + thread * 16;
    // Scales of the thread's two rows lie side by side: [group][16 * warp + 2 * quad + {0, 1}].
    u32 scales = block + CodeBytes + (((thread >> 5) << 4) + (((thread & 31) >> 2) << 1)) * (SCALED ? 4 : 1);
    float sum[Accumulators];
#pragma unroll
    for (int piece = 0; piece < 4; piece++)
    {
        u32 words[4];
        asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
            : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "r"(codes + piece * 2048));
        u32 a[2][4];
#pragma unroll
        for (int s = 0; s < 2; s++)
        {
            decode8(words[2 * s], a[s][0], a[s][2]);
            decode8(words[2 * s + 1], a[s][1], a[s][3]);
        }
        u32 tokens = swizzled_descriptor(stage + piece / 2 * BoxBytes) + piece % 2 * 4;
        wgmma_fence();
#pragma unroll
        for (int s = 0; s < 2; s++)
        {
            int step = piece * 2 + s;
            Wgmma<TOKENS>::multiply(sum, a[s], tokens + s * 2, step % StepsPerGroup != 0);
            if ((step + 1) % StepsPerGroup != 0) continue;
            float upper, lower;
            load_scales(scales + step / StepsPerGroup * BlockRows * (SCALED ? 4 : 1), upper, lower);
            wgmma_commit();
            wgmma_wait<0>();
#pragma unroll
            for (int i = 0; i < Accumulators; i++) total[i] += sum[i] * ((i & 2) ? lower : upper);
            if (s == 0) wgmma_fence();
        }
    }
}

// The row scales and biases of a warp's 16 rows, fetched while the tile is multiplied. Rows past N read as zero.
DEVICE void fetch_rows(const GemmArguments& g, u32 place, int firstRow, int lane)
{
    int row = firstRow + (lane & 15);
    if (lane < 16 || BIAS)
        copy_float(place + lane * 4, (lane < 16 ? g.rowScales : g.bias) + (row < g.rows ? row : 0), row < g.rows);
    if (RANK_BRANCH && !STAGED && row < g.rows && lane < 16) prefetch(g.lowRankB + (u64)row * g.rank);
}

DEVICE void store_pair(const GemmArguments& g, int token, int row, float first, float second)
{
    u64 index = (u64)token * g.rows + row;
    if ((g.rows & 1) == 0 && row < g.rows) { OUTPUT::store_pair(g.output, index, first, second); return; }
    if (row < g.rows) OUTPUT::store(g.output, index, first);
    if (row + 1 < g.rows) OUTPUT::store(g.output, index + 1, second);
}
