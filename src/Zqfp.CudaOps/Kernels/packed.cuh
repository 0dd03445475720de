// The packed weight layout (see PackedLayout.cs for its specification) and its decoding to E4M3.
//
// A block is 64 rows x 256 columns: 8192 bytes of codes, then the scales of its rows. Blocks of one
// row tile follow each other along K. Defined by the host:
//   GROUP   columns that share a scale inside a block: 32, 64, 128 or 256
//   SCALED  0: one exponent byte k a group (scale = S[row] * 2^-k);  1: one float a group
#pragma once

constexpr int BlockRows = 64;
constexpr int BlockColumns = 256;
constexpr int CodeBytes = BlockRows * BlockColumns / 2;
constexpr int GroupsPerBlock = BlockColumns / GROUP;
constexpr int ScaleBytes = BlockRows * GroupsPerBlock * (SCALED ? 4 : 1);
constexpr int BlockBytes = CodeBytes + ScaleBytes;
constexpr int StepsPerBlock = BlockColumns / 32;
constexpr int StepsPerGroup = GROUP / 32;

// The E4M3 bytes of the magnitudes 0, .5, 1, 1.5 | 2, 3, 4, 6 times 2^(6-k).
struct MagnitudeTable { u32 low, high; };

DEVICE MagnitudeTable magnitude_table(int exponent)
{
    float unit = __int_as_float((127 + 6 - exponent) << 23);
    MagnitudeTable table;
    table.low = (u32)to_e4m3x2(0.0f, 0.5f * unit) | ((u32)to_e4m3x2(unit, 1.5f * unit) << 16);
    table.high = (u32)to_e4m3x2(2.0f * unit, 3.0f * unit) | ((u32)to_e4m3x2(4.0f * unit, 6.0f * unit) << 16);
    return table;
}

// The table of k = 0, for weights whose groups carry a float scale.
DEVICE MagnitudeTable unit_table() { return { 0x6C686000u, 0x7C787470u }; }

// Fills the 16 tables of the exponents 0..14 (and 15, unused) in shared memory.
DEVICE void fill_tables(MagnitudeTable* tables, int thread)
{
    if (thread < 16) tables[thread] = magnitude_table(thread);
}

DEVICE u32 select_bytes(MagnitudeTable table, u32 selectors)
{
    u32 bytes; // __byte_perm would mask the selectors a second time
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(bytes) : "r"(table.low), "r"(table.high), "r"(selectors));
    return bytes;
}

// Eight codes to two registers of four E4M3 bytes, in seven integer operations. Bits 0..2 of nibble i select the
// magnitude of byte i; bit 3 of the odd nibbles holds the signs of bytes 0..3, of the even ones those of 4..7.
DEVICE void decode8(u32 word, MagnitudeTable table, u32& first, u32& second)
{
    u32 selectors = word & 0x77777777u;
    first = select_bytes(table, selectors) | (word & 0x80808080u);
    second = select_bytes(table, selectors >> 16) | ((word << 4) & 0x80808080u);
}
