// What is quantized where it is not the input itself; SOURCE comes from the host, 0 for the input.
#pragma once

#ifndef SOURCE
#define SOURCE 0
#endif

// What sources other than the input itself read and write besides.
struct SourceArguments
{
    const void* second;     // the other addend [M, K] or null; for SiLU the other factor
    const void* gain;       // [K]
    const void* shift;      // [K] or null
    void* sum;              // [M, K] or null
    float epsilon;
    int stride;             // elements from a token to the next, of both factors of SiLU
    int constants;          // whether gain and shift may be read before the previous kernel has ended
};

DEVICE float silu(float x) { return __fdiv_rn(x, 1.0f + expf(-x)); }

// The same within a few units of float32's last place, which rounding to 16 bits covers but rarely.
DEVICE float silu_of_half(float x)
{
    float power, inverse;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(-1.4426950409f * x));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(1.0f + power));
    return x * inverse;
}

// 1 / sqrt(mean + epsilon), the mean of `columns` values whose sum is `total`.
DEVICE float norm_factor(float total, int columns, float epsilon)
{
    return __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(total, (float)columns) + epsilon));
}
