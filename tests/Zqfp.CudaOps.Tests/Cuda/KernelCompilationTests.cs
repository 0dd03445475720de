using Zqfp.Numerics;

namespace Zqfp.CudaOps.Tests;

public sealed class KernelCompilationTests : IDisposable
{
    private const int HopperSharedMemory = 232448;

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-kernels").FullName;

    public static TheoryData<string, string> Kernels()
    {
        TheoryData<string, string> data = [];
        foreach (string kind in Enum.GetNames<ElementKind>())
        {
            foreach (int columns in (int[])[1536, 4096, 8192, 11008, 16384, 32768])
            {
                foreach (int ranks in (int[])[0, 1, 8])
                {
                    data.Add("quantize_tokens.cu", $"INPUT={kind} {Shape(columns)} RANKS={ranks} ROTATION=0");
                    data.Add("quantize_tokens.cu", $"INPUT={kind} {Shape(columns)} RANKS={ranks} ROTATION=64");
                }

                data.Add("quantize_tokens.cu", $"INPUT={kind} {Shape(columns, areMany: true)} RANKS=0 ROTATION=64 SOURCE=0");
                data.Add("quantize_tokens.cu", $"INPUT={kind} {Shape(columns, areMany: true)} RANKS=0 ROTATION=0 SOURCE=1");
            }

            foreach (int source in (int[])[1, 2, (int)TokenSource.GatedSilu])
            {
                foreach (int columns in (int[])[4096, 11008, 32768])
                {
                    foreach (int ranks in (int[])[0, 1, 4])
                    {
                        data.Add("quantize_tokens.cu", $"INPUT={kind} {Shape(columns)} RANKS={ranks} ROTATION=0 SOURCE={source}");
                        data.Add("quantize_tokens.cu", $"INPUT={kind} {Shape(columns)} RANKS={ranks} ROTATION=128 SOURCE={source}");
                    }
                }

                data.Add("quantize_simple.cu", $"INPUT={kind} ROTATION=0 SOURCE={source}");
            }

            foreach (TokenActivation activation in Enum.GetValues<TokenActivation>())
            {
                data.Add("quantize_tokens.cu", $"INPUT={kind} {Shape(11008)} RANKS=1 ROTATION=64 {Source(activation, isGated: true)}");
                data.Add("quantize_tokens.cu", $"INPUT={kind} {Shape(32768)} RANKS=0 ROTATION=0 {Source(activation, isGated: false)}");
                data.Add("quantize_simple.cu", $"INPUT={kind} ROTATION=0 {Source(activation, isGated: false)}");
            }

            data.Add("simple_gemm.cu", $"SCALED=0 SUM=float OUTPUT={kind}");
            data.Add("quantize_simple.cu", $"INPUT={kind} ROTATION=0");
        }

        foreach (int rotation in (int[])[2, 4, 8, 16, 32, 64, 128, 256])
        {
            data.Add("quantize_tokens.cu", $"INPUT=Float16 {Shape(8192)} RANKS=1 ROTATION={rotation}");
            data.Add("quantize_simple.cu", $"INPUT=Float32 ROTATION={rotation}");
        }

        data.Add("simple_gemm.cu", "SCALED=1 SUM=double OUTPUT=Float32");
        foreach ((int rows, int columns, ProductMode mode) in ((int, int, ProductMode)[])
            [(128, 128, ProductMode.Add), (128, 128, ProductMode.Lower), (64, 64, ProductMode.Add), (64, 64, ProductMode.ReplaceNegated),
                (64, 32, ProductMode.Add)])
        {
            data.Add("exact_product.cu", string.Join(' ', ExactProducts.Definitions(rows, columns, mode)));
        }

        foreach (NumberFormat format in NumberFormat.All)
        {
            foreach (int threads in (int[])[32, 64])
            {
                data.Add("gptq_sweep.cu", string.Join(' ', DeviceSweep.Definitions(format, threads)));
                data.Add("descent.cu", string.Join(' ', DeviceSweep.Definitions(format, threads)));
            }
        }

        data.Add("hessian_factor.cu", "");
        data.Add("weight_errors.cu", "");
        data.Add("project_tokens.cu", "");
        data.Add("project_simple.cu", "INPUT=Fp8");
        data.Add("project_simple.cu", "INPUT=Float16");
        data.Add("simple_gemm.cu", "SCALED=0 SUM=float OUTPUT=Float16 INPUT=Float32 WEIGHT_BITS=4");
        data.Add("simple_gemm.cu", "SCALED=0 SUM=float OUTPUT=Float32 INPUT=Fp8 WEIGHT_BITS=8");
        foreach (int width in (int[])[8, 16, 32])
        {
            data.Add("half_gemm.cu", $"TOKENS={width} INPUT=Fp8 WEIGHT_BITS=8 OUTPUT=Float16");
            data.Add("half_gemm.cu", $"TOKENS={width} INPUT=Float16 WEIGHT_BITS=4 OUTPUT=Float32");
        }

        foreach (ElementKind? tokens in (ElementKind?[])[null, ElementKind.Float32, ElementKind.Float16])
        {
            data.Add("project_experts.cu", string.Join(' ', DeviceExperts.ProjectionDefinitions(tokens, 4096)));
            data.Add("project_experts.cu", string.Join(' ', DeviceExperts.ProjectionDefinitions(tokens, 75)));
            foreach (bool whole in (bool[])[false, true])
            {
                data.Add("expert_gemm.cu", string.Join(' ', DeviceExperts.Definitions(
                    false, whole, tokens, WeightFormat.E4M3, ElementKind.Float16)));
                data.Add("expert_gemm.cu", string.Join(' ', DeviceExperts.Definitions(
                    whole, whole, tokens, WeightFormat.E2M1, ElementKind.Float32)));
            }
        }

        foreach (int width in GroupedTuning.Widths)
        {
            data.Add("sort_experts.cu", $"TOKENS={width}");
            data.Add("project_tiles.cu", $"TOKENS={width}");
            foreach ((int group, int rank, bool floats, ElementKind kind) in ((int, int, bool, ElementKind)[])
                [(256, 0, false, ElementKind.Float16), (256, 8, false, ElementKind.Float32), (32, 64, false, ElementKind.Float32),
                    (128, 8, true, ElementKind.Float32)])
            {
                PackedLayout layout = new(2048, 4096, group, floats);
                GroupedTile tile = GroupedTuning.Choose(layout, width, HopperSharedMemory);
                data.Add("grouped_gemm.cu", string.Join(' ', tile.Definitions(layout, rank, rank == 8, kind)));
            }
        }

        foreach (DenseTile tile in DenseTuning.All)
        {
            foreach (ElementKind kind in Enum.GetValues<ElementKind>())
            {
                data.Add("fp8_gemm.cu", string.Join(' ', tile.Definitions(HopperSharedMemory, 8, true, kind)));
            }

            data.Add("fp8_gemm.cu", string.Join(' ', tile.Definitions(HopperSharedMemory, 0, false, ElementKind.Float16)));
            data.Add("fp8_gemm.cu", string.Join(' ', tile.Definitions(HopperSharedMemory, 64, false, ElementKind.Float16)));
        }

        foreach (int group in (int[])[32, 64, 128, 256])
        {
            data.Add("expand.cu", $"GROUP={group}");
            PackedLayout layout = new(1024, 4096, group);
            foreach (int width in (int[])[8, 16, 32, 64, 128])
            {
                GemmTile tile = new GemmTile(width, width == 128 ? 2 : 1, width == 128 ? 1 : 4, 1, width == 128 ? 1 : 3, false)
                    .WithDeepestRing(layout, HopperSharedMemory);
                foreach (bool projects in (bool[])[true, false])
                {
                    data.Add(
                        "w4a8_gemm.cu",
                        string.Join(' ', HopperKernels.GemmDefinitions(layout, 8, true, ElementKind.Float16, tile, projects)));
                }

                if (group >= 128)
                {
                    PackedLayout scaled = new(1024, 4096, group, floatScales: true);
                    data.Add(
                        "w4a8_gemm.cu",
                        string.Join(' ', HopperKernels.GemmDefinitions(scaled, 0, false, ElementKind.BFloat16, tile, false)));
                }
            }
        }

        return data;
    }

    /// <summary>What devices other than Hopper run: everything but the fused product, the expansion and what follows it.</summary>
    public static TheoryData<int, string, string> KernelsForOthers()
    {
        TheoryData<int, string, string> data = [];
        foreach (int capability in (int[])[80, 86, 89, 100, 120])
        {
            foreach (string kind in (string[])["Float32", "Float16"])
            {
                foreach (int source in (int[])[0, 1, 2, (int)TokenSource.GatedSilu])
                {
                    data.Add(capability, "quantize_tokens.cu", $"INPUT={kind} {Shape(4096)} RANKS=1 ROTATION=64 SOURCE={source}");
                    data.Add(capability, "quantize_simple.cu", $"INPUT={kind} ROTATION=64 SOURCE={source}");
                }

                string gelu = Source(TokenActivation.Gelu, isGated: true);
                data.Add(capability, "quantize_tokens.cu", $"INPUT={kind} {Shape(11008)} RANKS=0 ROTATION=0 {gelu}");
                data.Add(capability, "simple_gemm.cu", $"SCALED=1 SUM=float OUTPUT={kind} INPUT=Fp8 WEIGHT_BITS=4");
                foreach (string operands in (string[])["INPUT=Fp8 WEIGHT_BITS=4", "INPUT=Fp8 WEIGHT_BITS=8", "INPUT=Float16 WEIGHT_BITS=4"])
                {
                    data.Add(capability, "simple_gemm.cu", $"SCALED=0 SUM=float OUTPUT={kind} {operands}");
                    data.Add(capability, "half_gemm.cu", $"TOKENS=32 OUTPUT={kind} {operands}");
                }
            }

            data.Add(capability, "project_tokens.cu", "");
            data.Add(capability, "project_simple.cu", "INPUT=Fp8");
            data.Add(capability, "project_simple.cu", "INPUT=Float16");
        }

        return data;
    }

    private static string Source(TokenActivation activation, bool isGated) => $"SOURCE={(int)TokenSources.Of(activation, isGated)}";

    private static string Shape(int columns, bool areMany = false) =>
        string.Join(' ', QuantizationShape.Of(columns, areMany).Definitions());

    /// <summary>The compiler refuses a kernel that spills or whose wgmma is serialized, so compiling is the assertion.</summary>
    [CompilerTheory]
    [MemberData(nameof(Kernels))]
    public void Compiles_for_Hopper_without_spills(string source, string definitions)
    {
        KernelCompiler compiler = new(new KernelCache(_folder));
        CompiledKernel compiled = compiler.Compile(source, definitions.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.False(compiled.FromCache);
        Assert.Contains("0 bytes spill stores", compiled.Log, StringComparison.Ordinal);
        Assert.Equal("\u007fELF"u8.ToArray(), compiled.Cubin[..4].ToArray());
    }

    /// <summary>For architectures the compiler does not know yet, to PTX of the newest one that it does.</summary>
    [CompilerTheory]
    [MemberData(nameof(KernelsForOthers))]
    public void Compiles_for_other_architectures(int capability, string source, string definitions)
    {
        CompiledKernel compiled = KernelCompiler.For(new KernelCache(_folder), capability)
            .Compile(source, definitions.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        byte[] start = compiled.Cubin[..4].ToArray();
        bool isKnown = NvrtcApi.Instance.Architectures.Contains(capability);
        Assert.Equal(isKnown ? "\u007fELF"u8.ToArray() : "//\n/"u8.ToArray(), start);
    }

    [CompilerFact]
    public void Takes_the_second_request_from_the_cache_and_rebuilds_a_damaged_entry()
    {
        KernelCompiler compiler = new(new KernelCache(_folder));
        byte[] first = compiler.Compile("expand.cu", "GROUP=256").Cubin.ToArray();
        CompiledKernel second = compiler.Compile("expand.cu", "GROUP=256");
        Assert.True(second.FromCache);
        Assert.Equal(first, second.Cubin.ToArray());

        string file = Assert.Single(Directory.GetFiles(_folder));
        byte[] bytes = File.ReadAllBytes(file);
        bytes[^1] ^= 1;
        File.WriteAllBytes(file, bytes);
        Assert.False(compiler.Compile("expand.cu", "GROUP=256").FromCache);
        Assert.True(compiler.Compile("expand.cu", "GROUP=256").FromCache);
        Assert.False(compiler.Compile("expand.cu", "GROUP=128").FromCache);
    }

    [CompilerFact]
    public void Says_what_the_compiler_said_about_a_bad_source()
    {
        KernelCompiler compiler = new(new KernelCache(_folder));
        ZqfpException e = Assert.Throws<ZqfpException>(() => compiler.Compile("expand.cu", "GROUP=nonsense"));
        Assert.Equal("ZQFP4105", e.Code);
        Assert.Contains("nonsense", e.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}

public sealed class KernelTargetTests
{
    [Theory]
    [InlineData(90, "sm_90a")]
    [InlineData(80, "sm_80")]
    [InlineData(86, "sm_86")]
    [InlineData(88, "compute_86")]
    [InlineData(100, "compute_90")]
    [InlineData(120, "compute_90")]
    public void A_device_gets_its_own_architecture_or_PTX_of_an_older_one(int capability, string architecture) =>
        Assert.Equal(architecture, KernelTarget.Of(capability, [50, 80, 86, 89, 90]).Architecture);
}

public sealed class KernelFaultTests
{
    [Theory]
    [InlineData("0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads", null)]
    [InlineData("0 bytes stack frame, 96 bytes spill stores, 96 bytes spill loads", "spills")]
    [InlineData("info : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to ...", "serialized")]
    public void Slow_kernels_are_faults(string log, string? fault)
    {
        if (fault is null)
        {
            Assert.Null(KernelCompiler.FindFault(log));
        }
        else
        {
            Assert.Contains(fault, KernelCompiler.FindFault(log), StringComparison.Ordinal);
        }
    }
}
