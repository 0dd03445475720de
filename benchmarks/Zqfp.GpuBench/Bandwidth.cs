using Zqfp.CudaOps;

namespace Zqfp.GpuBench;

/// <summary>The rate at which the device reads memory: the ceiling of decode.</summary>
internal static class Bandwidth
{
    private const string Source = """
        #include "hopper.cuh"
        extern "C" __global__ void __launch_bounds__(512) read_all(const uint4* data, u64 count, u32* sink)
        {
            u32 sum = 0;
            u64 stride = (u64)gridDim.x * 512;
        #pragma unroll 8
            for (u64 i = (u64)blockIdx.x * 512 + threadIdx.x; i < count; i += stride)
            {
                uint4 v = data[i];
                sum += v.x ^ v.y ^ v.z ^ v.w;
            }
            if (sum == 0x12345678u) *sink = sum;
        }
        """;

    /// <summary>Bytes a second, reading 2 GB.</summary>
    public static double Measure(Bench bench)
    {
        const long Bytes = 2L << 30;
        using CudaModule module = new(bench.Context, bench.Compiler.CompileText("read_all.cu", Source).Cubin.Span);
        CudaKernel kernel = module.Kernel("read_all");
        using DeviceMemory data = new(bench.Context, Bytes);
        using DeviceMemory sink = new(bench.Context, 4);
        data.Fill(0x5A, bench.Stream.Handle);
        double best = double.MaxValue;
        foreach (int blocks in (int[])[2, 4, 8])
        {
            best = Math.Min(best, bench.Microseconds(1, _ =>
            {
                KernelArguments arguments = default;
                arguments.Add(data.Address);
                arguments.Add((ulong)(Bytes / 16));
                arguments.Add(sink.Address);
                kernel.Launch(bench.Stream.Handle, new LaunchSize(bench.Context.Multiprocessors * blocks, 1, 1, 512), ref arguments);
            }));
        }

        return Bytes / (best * 1e-6);
    }
}
