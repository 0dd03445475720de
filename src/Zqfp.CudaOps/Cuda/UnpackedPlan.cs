namespace Zqfp.CudaOps;

/// <summary>
/// The product of a layer whose constants lie on the device as the model stores them, for tokens of one type: float16 tensor cores where
/// operands are float16 numbers and sizes suit, else a warp for each result. All kernels are compiled when it is made.
/// </summary>
internal sealed class UnpackedPlan
{
    private const int Rows = 16, Threads = 256, SimpleRows = 8;

    private readonly SimpleWeight _weight;
    private readonly CudaKernel[] _half;
    private readonly CudaKernel _simple;

    /// <summary>Makes the kernels ready.</summary>
    /// <param name="kernels">The device's kernels.</param>
    /// <param name="weight">The layer.</param>
    /// <param name="format">What its codes are.</param>
    /// <param name="tokens">Element type of the tokens; null for E4M3 codes.</param>
    /// <param name="output">Element type of Y.</param>
    public UnpackedPlan(HopperKernels kernels, SimpleWeight weight, WeightFormat format, ElementKind? tokens, ElementKind output)
    {
        _weight = weight;
        int bits = format == WeightFormat.E4M3 ? 8 : 4;
        string input = tokens?.ToString() ?? "Fp8";
        bool fits = weight.RowScales != 0 && weight.Columns % 16 == 0 && tokens != ElementKind.Float32
            && (weight.GroupSize % 64 == 0 || weight.GroupSize >= weight.Columns)
            && (bits == 8 || tokens is not null || !kernels.HasFusedProduct);
        _half = fits
            ? [.. Widths.Select(width => kernels.Kernel("half_gemm", "half_gemm.cu", 0,
                [$"TOKENS={width}", $"INPUT={input}", $"WEIGHT_BITS={bits}", $"OUTPUT={output}"]))]
            : [];
        _simple = kernels.Kernel("simple_gemm", "simple_gemm.cu", 0,
            [$"SCALED={(weight.RowScales == 0 ? 1 : 0)}", "SUM=float", $"OUTPUT={output}", $"INPUT={input}", $"WEIGHT_BITS={bits}"]);
    }

    private static ReadOnlySpan<int> TokensOfTiles => [8, 16, 32];

    private static int[] Widths => TokensOfTiles.ToArray();

    /// <summary>Puts the product into a stream.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="tokens">The tokens, their scales (0 for none), and A x where there is a branch.</param>
    /// <param name="output">Y.</param>
    /// <param name="overlap">Start before the stream's previous kernel has ended.</param>
    public void Launch(nint stream, in DeviceTokens tokens, ulong output, bool overlap)
    {
        KernelArguments arguments = default;
        arguments.Add(new SimpleArguments
        {
            Weight = _weight,
            Tokens = tokens.Codes,
            TokenScales = tokens.Scales,
            LowRankX = tokens.LowRank,
            Output = output,
            Count = tokens.Count,
        });
        if (_half.Length == 0 || tokens.Codes % 16 != 0)
        {
            _simple.Launch(
                stream, new LaunchSize((_weight.Rows + SimpleRows - 1) / SimpleRows, tokens.Count, 1, Threads), ref arguments, overlap);
            return;
        }

        int index = tokens.Count <= TokensOfTiles[0] ? 0 : tokens.Count <= TokensOfTiles[1] ? 1 : 2;
        int width = TokensOfTiles[index];
        LaunchSize size = new((_weight.Rows + Rows - 1) / Rows, (tokens.Count + width - 1) / width, 1, Threads);
        _half[index].Launch(stream, size, ref arguments, overlap);
    }
}
