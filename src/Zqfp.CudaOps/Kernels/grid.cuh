// Rounding to a number format, as NumberFormat.RoundFinite does it: to nearest, ties to even, saturating. NaN is not allowed.
// BITS, SHIFT (23 less the mantissa's bits), MIN_EXPONENT and MAX_VALUE (bits of float32) and IS_INTEGER come from the host.
#pragma once
#include "pipeline.cuh"

struct Rounded
{
    float value;
    u8 code;
};

DEVICE Rounded round_to_grid(float value)
{
    u32 sign = __float_as_uint(value) & 0x80000000u;
    float magnitude = fminf(fabsf(value), __uint_as_float(MAX_VALUE));
    u32 exponent = __float_as_uint(magnitude) & 0x7F800000u;
    exponent = exponent < MIN_EXPONENT ? MIN_EXPONENT : exponent;
    float magic = __uint_as_float(exponent + ((u32)SHIFT << 23));
    float sum = __fadd_rn(magnitude, magic);
    u32 code = ((exponent - MIN_EXPONENT) >> SHIFT) + __float_as_uint(sum) - __float_as_uint(magic);
    if (IS_INTEGER)
        code = (sign ? 0u - code : code) & ((1u << BITS) - 1);
    else
        code |= sign >> (32 - BITS);
    return { __uint_as_float(__float_as_uint(__fsub_rn(sum, magic)) | sign), (u8)code };
}
