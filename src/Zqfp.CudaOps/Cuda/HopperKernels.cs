using System.Collections.Concurrent;
using Zqfp.Numerics;

namespace Zqfp.CudaOps;

/// <summary>Addresses of a token batch on the device.</summary>
/// <param name="Count">M.</param>
/// <param name="Codes">Xq, E4M3 [M, K].</param>
/// <param name="Scales">Sx, float [M].</param>
/// <param name="LowRank">A xq, float [M, rank rounded up to 8]; 0 without a low-rank branch.</param>
/// <param name="Projection">
/// Working memory of <see cref="Projection.Bytes"/>, to have the product compute A xq rather than the token quantization; 0 for
/// the latter, and where <see cref="Projection.Serves"/> says no.
/// </param>
internal readonly record struct DeviceTokens(int Count, ulong Codes, ulong Scales, ulong LowRank = 0, ulong Projection = 0);

/// <summary>
/// The operators' kernels on one device: compiled on first use, then kept. All calls only put work into a stream; any thread may call,
/// with the context current. The fused product and the expansion of weights are for Hopper alone.
/// </summary>
internal sealed class HopperKernels : IDisposable
{
    private readonly CudaContext _context;
    private readonly Func<string, IReadOnlyList<string>, CompiledKernel> _compile;
    private readonly ConcurrentDictionary<string, Lazy<(CudaModule Module, CudaKernel Kernel)>> _kernels = new(StringComparer.Ordinal);

    /// <summary>Creates the set of kernels.</summary>
    /// <param name="context">The device.</param>
    /// <param name="compile">Compiles a source of the folder Kernels with definitions: <see cref="KernelCompiler.Compile"/>.</param>
    /// <param name="allowsFusedProduct">Whether the fused product is taken where the device has it.</param>
    /// <exception cref="ZqfpException">ZQFP4103: the device is older than compute capability 8.0.</exception>
    public HopperKernels(
        CudaContext context, Func<string, IReadOnlyList<string>, CompiledKernel> compile, bool allowsFusedProduct = true)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(compile);
        if (context.ComputeCapability < KernelTarget.Lowest)
        {
            throw new ZqfpException("ZQFP4103",
                $"{context.Name} has compute capability {context.ComputeCapability / 10}.{context.ComputeCapability % 10}; the kernels "
                + "need 8.0 or later. Run the operators on the CPU, or use the profile stock.");
        }

        HasFusedProduct = allowsFusedProduct && context.ComputeCapability == KernelTarget.Hopper;
        _context = context;
        _compile = compile;
    }

    /// <summary>Whether the device has the fused product; others multiply weights as the model stores them.</summary>
    public bool HasFusedProduct { get; }

    /// <summary>What each compiled kernel took to get.</summary>
    public ConcurrentBag<(string Name, CompiledKernel Compiled)> Compilations { get; } = [];

    /// <summary>Xq, Sx and, with a low-rank branch, A xq from X [M, K].</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="input">X.</param>
    /// <param name="kind">Element type of X.</param>
    /// <param name="columns">K; for A xq a multiple of 8, at most 32768, and X aligned to 16 bytes.</param>
    /// <param name="tokens">Where the results go.</param>
    /// <param name="weight">The layer whose low-rank branch is wanted; null for none.</param>
    /// <param name="overlap">Start before the previous kernel has ended.</param>
    /// <param name="rotation">Columns of a block that are rotated first: a power of two from 2 to 256 that divides K, or 0.</param>
    public void QuantizeTokens(
        nint stream,
        ulong input,
        ElementKind kind,
        int columns,
        DeviceTokens tokens,
        DeviceWeight? weight = null,
        bool overlap = false,
        int rotation = 0)
    {
        if (rotation != 0 && !BlockHadamard.Fits(columns, rotation))
        {
            throw new ArgumentException($"Blocks of {rotation} do not fit tokens of {columns} columns.", nameof(rotation));
        }

        bool fits = QuantizationShape.Fits(columns) && input % 16 == 0 && tokens.Codes % 8 == 0;
        if (!fits && weight is not { Rank: > 0 })
        {
            TokenQuantization.LaunchSimply(
                SimpleQuantization(kind, rotation, TokenSource.Input), stream, input, columns, tokens, default, overlap);
            return;
        }

        if (!fits)
        {
            throw new ZqfpException("ZQFP4108",
                $"A xq of tokens of {columns} columns cannot be computed while they are quantized: K must be a multiple of 8 and at most "
                + $"{QuantizationShape.MostColumns}, and X aligned to 16 bytes.");
        }

        int rank = tokens.Projection == 0 ? weight?.Rank ?? 0 : 0;
        int ranks = RanksOfBlock(tokens.Count, rank);
        var shape = QuantizationShape.Of(columns, tokens.Count > QuantizationShape.FewTokens);
        CudaKernel kernel = Quantization(kind, shape, ranks, rotation);
        KernelArguments arguments = default;
        arguments.Add(input);
        arguments.Add(tokens.Codes);
        arguments.Add(tokens.Scales);
        arguments.Add(weight?.LowRankA?.Address ?? 0);
        arguments.Add(tokens.LowRank);
        arguments.Add(columns);
        arguments.Add(rank);
        arguments.Add(tokens.Projection);
        arguments.Add(tokens.Projection == 0 ? 0 : Projection.Counters);
        kernel.Launch(stream, new LaunchSize(tokens.Count, rank == 0 ? 1 : rank / ranks, 1, shape.Threads), ref arguments, overlap);
    }

    /// <summary>
    /// Ranks that a block takes while it quantizes a token: for few tokens one; for many, up to eight share the quantization of a token,
    /// which each block does again. Measured on an H100: what matters is that the blocks are few (docs/hopper.md).
    /// </summary>
    /// <param name="tokens">M.</param>
    /// <param name="rank">A multiple of 8, or 0.</param>
    public static int RanksOfBlock(int tokens, int rank)
    {
        const long FewBlocks = 40;
        int ranks = rank == 0 ? 0 : 1;
        while (ranks is > 0 and < 8 && (long)tokens * rank / ranks > FewBlocks)
        {
            ranks *= 2;
        }

        return ranks;
    }

    /// <summary>Y [M, N] by the fused kernel.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="weight">The layer.</param>
    /// <param name="tokens">The quantized tokens.</param>
    /// <param name="output">Y.</param>
    /// <param name="kind">Element type of Y.</param>
    /// <param name="tile">How to cut the work; <see cref="GemmTuning.Choose"/> knows a good one.</param>
    /// <param name="overlap">
    /// Start before the previous kernel has ended: the weights are then already on their way when the tokens are ready.
    /// </param>
    public void Multiply(
        nint stream, DeviceWeight weight, DeviceTokens tokens, ulong output, ElementKind kind, GemmTile tile, bool overlap = false)
    {
        PlanProduct(weight, kind, tile).Launch(stream, tokens, output, overlap);
    }

    /// <summary>The fused product of a layer, ready to be launched again and again.</summary>
    /// <param name="weight">The layer, which must stay.</param>
    /// <param name="kind">Element type of Y.</param>
    /// <param name="tile">How to cut the work.</param>
    public GemmPlan PlanProduct(DeviceWeight weight, ElementKind kind, GemmTile tile)
    {
        ArgumentNullException.ThrowIfNull(weight);
        return new GemmPlan(
            _context,
            Kernel("w4a8_gemm", "w4a8_gemm.cu", tile.SharedBytes(weight.Layout, weight.Rank), GemmDefinitions(weight, kind, tile)),
            weight,
            tile);
    }

    /// <summary>The product of many tokens with a layer's E4M3 weights, ready to be launched again and again.</summary>
    /// <param name="weight">The layer, which must stay and whose size <see cref="DenseTile.Fits"/>.</param>
    /// <param name="kind">Element type of Y.</param>
    /// <param name="tile">How to cut the work; <see cref="DenseTuning.Choose"/> knows a good one.</param>
    public DensePlan PlanDense(in DenseWeight weight, ElementKind kind, DenseTile tile)
    {
        int shared = _context.SharedMemoryPerBlock;
        return new DensePlan(
            _context,
            Kernel(
                "fp8_gemm", "fp8_gemm.cu", tile.SharedBytes(shared, weight.Rank, weight.Bias != 0),
                tile.Definitions(shared, weight.Rank, weight.Bias != 0, kind)),
            weight,
            tile);
    }

    /// <summary>The macros that compile the fused kernel for a layer.</summary>
    public static IReadOnlyList<string> GemmDefinitions(DeviceWeight weight, ElementKind kind, GemmTile tile)
    {
        ArgumentNullException.ThrowIfNull(weight);
        return GemmDefinitions(weight.Layout, weight.Rank, weight.Bias is not null, kind, tile, weight.LowRankA is not null);
    }

    /// <summary>The macros that compile the fused kernel.</summary>
    public static IReadOnlyList<string> GemmDefinitions(
        PackedLayout layout, int rank, bool bias, ElementKind kind, GemmTile tile, bool projects)
    {
        ArgumentNullException.ThrowIfNull(layout);
        return
        [
            .. tile.Definitions(), $"GROUP={layout.BlockGroup}", $"SCALED={(layout.FloatScales ? 1 : 0)}",
            $"RANK_BRANCH={(rank == 0 ? 0 : tile.StagesLowRank(rank) ? 2 : 1)}", $"PROJECTING={(projects ? 1 : 0)}",
            $"BIAS={(bias ? 1 : 0)}", $"OUTPUT={kind}",
        ];
    }

    /// <summary>The weight as E4M3 [N, K] row after row: fp4 * 2^(6-k).</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="weight">The layer; its groups carry exponents.</param>
    /// <param name="output">N * K bytes.</param>
    /// <param name="overlap">Start before the previous kernel has ended.</param>
    public void Expand(nint stream, DeviceWeight weight, ulong output, bool overlap = false)
    {
        ArgumentNullException.ThrowIfNull(weight);
        PackedLayout layout = weight.Layout;
        CudaKernel kernel = Kernel("expand", "expand.cu", 0, [$"GROUP={layout.BlockGroup}"]);
        KernelArguments arguments = default;
        arguments.Add(weight.Blocks.Address);
        arguments.Add(output);
        arguments.Add(layout.Rows);
        arguments.Add(layout.Columns);
        arguments.Add(layout.ColumnBlocks);
        kernel.Launch(stream, new LaunchSize(layout.RowBlocks, layout.ColumnBlocks, 1, 256), ref arguments, overlap);
    }

    /// <summary>Y [M, N] by the simple kernel, from unpacked constants: any shape, group size and exponent.</summary>
    /// <param name="stream">Stream handle.</param>
    /// <param name="layer">The constants.</param>
    /// <param name="tokens">The quantized tokens.</param>
    /// <param name="output">Y.</param>
    /// <param name="kind">Element type of Y.</param>
    /// <param name="inDouble">Whether to add up in float64, to judge other kernels.</param>
    public void MultiplySimply(nint stream, SimpleWeight layer, DeviceTokens tokens, ulong output, ElementKind kind, bool inDouble = false)
    {
        CudaKernel kernel = Kernel("simple_gemm", "simple_gemm.cu", 0,
            [$"SCALED={(layer.RowScales == 0 ? 1 : 0)}", $"SUM={(inDouble ? "double" : "float")}", $"OUTPUT={kind}"]);
        KernelArguments arguments = default;
        arguments.Add(new SimpleArguments
        {
            Weight = layer,
            Tokens = tokens.Codes,
            TokenScales = tokens.Scales,
            LowRankX = tokens.LowRank,
            Output = output,
            Count = tokens.Count,
        });
        kernel.Launch(stream, new LaunchSize((layer.Rows + 7) / 8, tokens.Count, 1, 256), ref arguments);
    }

    /// <summary>The kernel that takes A x of tokens; of those it quantizes, <see cref="QuantizeTokens"/> does it in passing.</summary>
    /// <param name="columns">K.</param>
    /// <param name="tokens">Element type of the tokens; null for E4M3 codes.</param>
    public TokenProjection PlanProjection(int columns, ElementKind? tokens) => columns % 8 == 0 && tokens is null
        ? new TokenProjection(Kernel("project_tokens", "project_tokens.cu", 0, []), TokensOfBlock: 16, Threads: 512, HasCount: true)
        : new TokenProjection(
            Kernel("project_simple", "project_simple.cu", 0, [$"INPUT={tokens?.ToString() ?? "Fp8"}"]),
            TokensOfBlock: 1, Threads: 256, HasCount: false);

    /// <summary>The quantization of tokens whose address and length suit vectors of 8; null where they do not.</summary>
    /// <param name="kind">Element type of X.</param>
    /// <param name="columns">K.</param>
    /// <param name="rotation">Columns of a block that are rotated first; 0 for none.</param>
    /// <param name="source">What is quantized.</param>
    /// <param name="shape">How a block holds a token.</param>
    /// <param name="ranks">Ranks of A xq that a block takes; 0 for none.</param>
    public CudaKernel? PlanQuantization(
        ElementKind kind, int columns, int rotation, TokenSource source, QuantizationShape shape, int ranks = 0) =>
        QuantizationShape.Fits(columns) ? Quantization(kind, shape, ranks, rotation, source) : null;

    /// <summary>The quantization of tokens of any length and address.</summary>
    /// <param name="kind">Element type of X.</param>
    /// <param name="rotation">Columns of a block that are rotated first; 0 for none.</param>
    /// <param name="source">What is quantized.</param>
    public CudaKernel SimpleQuantization(ElementKind kind, int rotation, TokenSource source) =>
        Kernel("quantize_simple", "quantize_simple.cu", 0, [$"INPUT={kind}", $"ROTATION={rotation}", $"SOURCE={(int)source}"]);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Lazy<(CudaModule Module, CudaKernel Kernel)> entry in _kernels.Values.Where(e => e.IsValueCreated))
        {
            entry.Value.Module.Dispose();
        }

        _kernels.Clear();
    }

    private CudaKernel Quantization(
        ElementKind kind, QuantizationShape shape, int ranks, int rotation, TokenSource source = TokenSource.Input) =>
        Kernel("quantize_tokens", "quantize_tokens.cu", 0,
            [$"INPUT={kind}", .. shape.Definitions(), $"RANKS={ranks}", $"ROTATION={rotation}", $"SOURCE={(int)source}"]);

    /// <summary>A kernel, compiled when it is asked for the first time.</summary>
    /// <param name="name">Its name in the source.</param>
    /// <param name="source">File of the folder Kernels.</param>
    /// <param name="sharedBytes">Dynamic shared memory of every launch.</param>
    /// <param name="definitions">Macros, each <c>NAME=value</c>.</param>
    /// <exception cref="ZqfpException">ZQFP4102, ZQFP4105: it cannot be compiled.</exception>
    public CudaKernel Kernel(string name, string source, int sharedBytes, IReadOnlyList<string> definitions) =>
        _kernels.GetOrAdd($"{name} {string.Join(' ', definitions)} shared={sharedBytes}", key => new(() =>
        {
            CompiledKernel compiled = _compile(source, definitions);
            Compilations.Add((key, compiled));
            CudaModule module = new(_context, compiled.Cubin.Span);
            return (module, module.Kernel(name, sharedBytes));
        })).Value.Kernel;
}
