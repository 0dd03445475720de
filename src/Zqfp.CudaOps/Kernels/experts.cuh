// A product for experts: every row of Y is told its expert, whose constants lie behind those of the experts before it.
#pragma once
#include "simple_arguments.cuh"

struct ExpertArguments
{
    SimpleArguments layer;  // of the first expert; count is that of Y's rows
    const u16* lowRankA;    // float16 [experts, rank, K] or null
    float* projected;       // A x, [count, rank]
    const long long* index; // [count], from the end where it is negative
    int perToken;           // rows of Y that read one token
    int experts;
};

// The expert of a row of Y; -1 where the index is none.
DEVICE int expert_of(const ExpertArguments& g, int row)
{
    long long expert = g.index[row];
    if (expert < 0) expert += g.experts;
    return expert < 0 || expert >= g.experts ? -1 : (int)expert;
}
