// Tokens times a block-diagonal matrix of normalized Hadamard matrices, in blocks of ROTATION columns, a power of two from 2 to 256.
//
// Strides 1, 2, 4 .. ROTATION / 2 in this order, then one product with the normalization: the order in which the processor's
// operator adds (Zqfp.Numerics, BlockHadamard), so both give the same bits.
#pragma once

// 1 / sqrt(block), rounded once: halves are exact.
constexpr float rotation_factor(int block) { return block >= 4 ? 0.5f * rotation_factor(block / 4) : block == 2 ? 0.70710678f : 1.0f; }

// One step between this thread's value and that of the thread whose index differs in a bit: the sum where the bit is clear, the
// other's value less this one's where it is set. The product with -1 is exact.
DEVICE float butterfly(float mine, float other, int index, int bit) { return __fmaf_rn(index & bit ? -1.0f : 1.0f, mine, other); }

// Eight consecutive columns a lane, 256 a warp, which every lane of the warp calls with.
DEVICE void rotate_piece(float (&x)[8], int lane)
{
#pragma unroll
    for (int stride = 1; stride < 8 && stride < ROTATION; stride *= 2)
#pragma unroll
        for (int i = 0; i < 8; i++)
            if ((i & stride) == 0)
            {
                float a = x[i], b = x[i + stride];
                x[i] = __fadd_rn(a, b);
                x[i + stride] = __fsub_rn(a, b);
            }
#pragma unroll
    for (int lanes = 1; lanes * 8 < ROTATION; lanes *= 2)
#pragma unroll
        for (int i = 0; i < 8; i++) x[i] = butterfly(x[i], __shfl_xor_sync(0xFFFFFFFFu, x[i], lanes), lane, lanes);
#pragma unroll
    for (int i = 0; i < 8; i++) x[i] = __fmul_rn(x[i], rotation_factor(ROTATION));
}

// One column a thread of 256, all of which call, with a place for 256 floats.
DEVICE float rotate_column(float x, float* exchange)
{
    int thread = threadIdx.x;
#pragma unroll
    for (int stride = 1; stride < 32 && stride < ROTATION; stride *= 2)
        x = butterfly(x, __shfl_xor_sync(0xFFFFFFFFu, x, stride), thread, stride);
#pragma unroll
    for (int stride = 32; stride < ROTATION; stride *= 2)
    {
        __syncthreads();
        exchange[thread] = x;
        __syncthreads();
        x = butterfly(x, exchange[thread ^ stride], thread, stride);
    }
    return __fmul_rn(x, rotation_factor(ROTATION));
}
