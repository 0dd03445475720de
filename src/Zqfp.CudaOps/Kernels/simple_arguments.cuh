// A product from constants as the model stores them.
#pragma once

struct SimpleArguments
{
    const u8* codes;        // E2M1 [N, ceil(K / 2)], low nibble first, or E4M3 [N, K]
    const void* groupScales; // exponents u8 [N, groups], or float [N, groups]
    const float* rowScales; // S [N]; null where groups carry float scales
    const float* bias;      // [N] or null
    const u16* lowRankB;    // float16 [N, rank] or null
    int rank, rows, columns, group;
    const void* tokens;     // [M, K]
    const float* tokenScales; // [M] or null
    const float* lowRankX;  // [M, rank]
    void* output;           // [M, N]
    int count;              // M
};
