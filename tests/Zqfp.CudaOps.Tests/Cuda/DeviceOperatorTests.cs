
namespace Zqfp.CudaOps.Tests;

public sealed class DeviceOperatorTests
{
    [WithoutGpuFact]
    public void Says_that_a_GPU_is_missing_before_any_model_is_loaded()
    {
        using var environment = new OrtEnvironment();
        ZqfpException error = Assert.Throws<ZqfpException>(() => ZqfpOperators.CreateDomain(environment, OperatorDevice.Cuda));
        Assert.Contains(error.Code, (string[])["ZQFP4101", "ZQFP4104"]);
    }

    [Fact]
    public void Makes_the_processors_operators_without_a_GPU()
    {
        using var environment = new OrtEnvironment();
        using OrtOperatorDomain domain = ZqfpOperators.CreateDomain(environment, OperatorDevice.Cpu);
        Assert.Equal(OperatorNames.Domain, domain.Name);
    }

    /// <summary>A test of what is said where there is no GPU; skipped where there is one.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    private sealed class WithoutGpuFactAttribute : FactAttribute
    {
        public WithoutGpuFactAttribute() => Skip = CudaContext.IsAvailable ? "This machine has a GPU." : null;
    }
}
