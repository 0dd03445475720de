using System.Runtime.InteropServices;

namespace Zqfp.CudaOps;

/// <summary>The struct of the same name in w4a8_gemm.cu.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GemmArguments
{
    public ulong Weights, RowScales, TokenScales, Bias, LowRankB, LowRankX, Output;
    public int Rank, Tokens, Rows, RowBlocks, ColumnBlocks, Columns, Projectors;
    public ulong LowRankA, Codes, Counters, Parts;
}

/// <summary>The struct of the same name in fp8_gemm.cu.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DenseArguments
{
    public ulong RowScales, TokenScales, Bias, LowRankB, LowRankX, Output;
    public int Rank, Tokens, Rows, ColumnBlocks, TokenTiles, Tiles;
}

/// <summary>Device addresses and sizes of a layer's constants as the model stores them, unpacked.</summary>
/// <param name="Codes">E2M1 codes [N, ceil(K / 2)], low nibble first, or E4M3 codes [N, K].</param>
/// <param name="GroupScales">Exponents, bytes [N, groups]; or floats [N, groups] where <paramref name="RowScales"/> is 0.</param>
/// <param name="RowScales">S [N], or 0.</param>
/// <param name="Bias">[N], or 0.</param>
/// <param name="LowRankB">float16 [N, rank], or 0.</param>
/// <param name="Rank">Rank of the branch, 0 without one.</param>
/// <param name="Rows">N.</param>
/// <param name="Columns">K.</param>
/// <param name="GroupSize">Columns of a group.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct SimpleWeight(
    ulong Codes, ulong GroupScales, ulong RowScales, ulong Bias, ulong LowRankB, int Rank, int Rows, int Columns, int GroupSize);

/// <summary>The struct of the same name in simple_arguments.cuh.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SimpleArguments
{
    public SimpleWeight Weight;
    public ulong Tokens, TokenScales, LowRankX, Output;
    public int Count;
}

/// <summary>The struct of the same name in experts.cuh.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ExpertArguments
{
    public SimpleArguments Layer;
    public ulong LowRankA, Projected, Index;
    public int PerToken, Experts;
}

/// <summary>The struct of the same name in grouped_gemm.cu.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GroupedArguments
{
    public ulong Weights, RowScales, TokenScales, Bias, LowRankB, LowRankX, Output, Codes, Index, Tiles, Order;
    public int Rank, Rows, RowBlocks, ColumnBlocks, Columns, Count, PerToken, Experts;
}

/// <summary>The struct of the same name in source.cuh: device addresses, 0 for what is absent.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SourceArguments
{
    public ulong Second, Gain, Shift, Sum;
    public float Epsilon;
    public int Stride;
    public int Constants;
}
