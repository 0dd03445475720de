// What codes of weights stand for.
#pragma once

DEVICE float e2m1(u32 code)
{
    u32 magnitude = code & 7;
    float value = magnitude < 2 ? 0.5f * magnitude : (1.0f + 0.5f * (magnitude & 1)) * (float)(1 << ((magnitude >> 1) - 1));
    return code & 8 ? -value : value;
}

// The two E2M1 codes of the lowest byte as a pair of halves, times 2^-14: sign, exponent and mantissa in their places.
DEVICE u32 e2m1_half_pair(u32 codes)
{
    return (codes & 0x08u) << 12 | (codes & 0x07u) << 9 | (codes & 0x80u) << 24 | (codes & 0x70u) << 21;
}
