namespace Zqfp.Tool.Tests;

public sealed class PlanWriterTests
{
    [Theory]
    [InlineData(7.2, "0:08")]
    [InlineData(3599, "59:59")]
    [InlineData(3600, "1:00:00")]
    [InlineData(439_251, "122:00:51")]
    public void Times_beyond_a_day_are_hours(double seconds, string text) => Assert.Equal(text, PlanWriter.Clock(seconds));
}
