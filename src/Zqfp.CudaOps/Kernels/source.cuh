// What is quantized where it is not the input itself; SOURCE comes from the host, 0 for the input.
#pragma once

#ifndef SOURCE
#define SOURCE 0
#endif

// What sources other than the input itself read and write besides.
struct SourceArguments
{
    const void* second;     // the other addend [M, K] or null; the other factor of a gated activation
    const void* gain;       // [K]
    const void* shift;      // [K] or null
    void* sum;              // [M, K] or null
    float epsilon;
    int stride;             // elements from a token to the next of an activation's inputs
    int constants;          // whether gain and shift may be read before the previous kernel has ended
};

// From 4 on sources are activations, two numbers each: alone, and times another value.
#define ACTIVATES (SOURCE >= 4)
#define GATED (SOURCE & 1)
constexpr int Activation = (SOURCE - 4) / 2;     // 0 SiLU, 1 GELU, 2 GELU by tanh, 3 x / (1 + exp(-1.702 x)), 4 ReLU

// x / (1 + exp(-exponent)). From inputs of 16 bits within a few units of float32's last place, which rounding covers but rarely.
template <bool Half> DEVICE float logistic(float x, float exponent)
{
    if (!Half) return __fdiv_rn(x, 1.0f + expf(-exponent));
    float power, inverse;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(-1.4426950409f * exponent));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(1.0f + power));
    return x * inverse;
}

template <bool Half> DEVICE float activate(float x)
{
    if (Activation == 1) return 0.5f * x * (1.0f + erff(0.70710678118f * x));
    if (Activation == 2) return logistic<Half>(x, x * (1.5957691216f + 0.0713548163f * x * x));
    if (Activation == 3) return logistic<Half>(x, 1.702f * x);
    if (Activation == 4) return x < 0.0f ? 0.0f : x;
    return logistic<Half>(x, x);
}

// 1 / sqrt(mean + epsilon), the mean of `columns` values whose sum is `total`.
DEVICE float norm_factor(float total, int columns, float epsilon)
{
    return __fdiv_rn(1.0f, __fsqrt_rn(__fdiv_rn(total, (float)columns) + epsilon));
}
