
namespace Zqfp.Quantization.Tests;

public sealed class DoctorJobTests
{
    [Fact]
    public void A_machine_that_runs_these_tests_can_quantize()
    {
        DoctorReport report = DoctorJob.Run();

        Assert.True(report.CanQuantize);
        Assert.Equal(
            ["zqfp", "ONNX Runtime", "execution providers", "operators", "CPU", "memory", "disk, this folder",
                "disk, temporary files", "GPU", "NVRTC"],
            report.Checks.Select(check => check.Name));
        Assert.Contains("CPUExecutionProvider", report.Checks.Single(check => check.Name == "execution providers").Found,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Whatever_is_missing_comes_with_advice() =>
        Assert.All(DoctorJob.Run().Checks.Where(check => check.State != DoctorState.Ok), check => Assert.NotNull(check.Advice));

    [Fact]
    public void One_problem_makes_quantizing_impossible_and_what_is_missing_does_not()
    {
        Assert.True(new DoctorReport([new DoctorCheck("GPU", DoctorState.Missing, "none")]).CanQuantize);
        Assert.False(new DoctorReport([new DoctorCheck("GPU", DoctorState.Missing, "none"),
            new DoctorCheck("runtime", DoctorState.Problem, "none")]).CanQuantize);
    }
}
