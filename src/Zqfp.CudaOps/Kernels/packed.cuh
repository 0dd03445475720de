// The packed weight layout (see PackedLayout.cs for its specification) and its decoding to E4M3.
//
// A block is 64 rows x 256 columns: 8192 bytes of codes, then the scales of its rows. Blocks of one
// row tile follow each other along K. Defined by the host:
//   GROUP   columns that share a scale inside a block: 32, 64, 128 or 256
//   SCALED  0: one byte a group, the biased exponent of the float 2^(12-k);  1: one float a group, the scale * 2^12
#pragma once

constexpr int BlockRows = 64;
constexpr int BlockColumns = 256;
constexpr int CodeBytes = BlockRows * BlockColumns / 2;
constexpr int GroupsPerBlock = BlockColumns / GROUP;
constexpr int ScaleBytes = BlockRows * GroupsPerBlock * (SCALED ? 4 : 1);
constexpr int BlockBytes = CodeBytes + ScaleBytes;
constexpr int StepsPerBlock = BlockColumns / 32;
constexpr int StepsPerGroup = GROUP / 32;

// Eight codes to two registers of four E4M3 bytes. With sign at bit 7, exponent at bits 4..3 and mantissa at bit 2 an
// E2M1 code *is* the E4M3 number of 2^-6 times its value, 0 and the subnormal 0.5 included: no table, no arithmetic, only
// bits in place. The second register's bits are stored so that this exclusive or leaves them (three ALU operations a word).
DEVICE void decode8(u32 word, u32& first, u32& second)
{
    first = word & 0x9C9C9C9Cu;
    second = ((word >> 2) ^ (word << 2)) & 0x9C9C9C9Cu;
}

// The scales, times 2^12, of a thread's two rows of one group; `address` is that of the pair in shared memory.
DEVICE void load_scales(u32 address, float& upper, float& lower)
{
    if (SCALED)
    {
        asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(upper), "=f"(lower) : "r"(address));
    }
    else
    {
        u16 pair;
        asm volatile("ld.shared.u16 %0, [%1];" : "=h"(pair) : "r"(address));
        upper = __int_as_float((pair & 0xFF) << 23);
        lower = __int_as_float((pair >> 8) << 23);
    }
}
