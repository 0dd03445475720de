using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

public sealed class DeviceOperatorTests
{
    [WithoutGpuFact]
    public void Says_that_a_GPU_is_missing_before_any_model_is_loaded()
    {
        using var options = new SessionOptions();
        ZqfpException error = Assert.Throws<ZqfpException>(() => options.AddZqfpOperators(ZqfpDevice.CudaProducts));
        Assert.Contains(error.Code, (string[])["ZQFP4101", "ZQFP4104"]);
    }

    [WithoutGpuFact]
    public void Says_that_the_CUDA_provider_is_missing()
    {
        using var options = new SessionOptions();
        Assert.Equal("ZQFP4005", Assert.Throws<ZqfpException>(() => options.AddZqfpOperators(ZqfpDevice.Cuda)).Code);
    }

    [WithoutGpuFact]
    public void Takes_the_processor_where_it_may_choose_and_no_GPU_is_there()
    {
        Product product = new Product { Operator = OperatorNames.MatMulW4A8, M = 1, N = 8, K = 16, GroupSize = 16 }.Fill(1);
        using SessionOptions options = new SessionOptions().AddZqfpOperators(ZqfpDevice.Auto);
        using var session = new InferenceSession(product.Model(), options);
        Assert.Equal(8, product.Run(session).Length);
    }

    /// <summary>A test of what is said where there is no GPU; skipped where there is one.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    private sealed class WithoutGpuFactAttribute : FactAttribute
    {
        public WithoutGpuFactAttribute() => Skip = CudaContext.IsAvailable ? "This machine has a GPU." : null;
    }
}
