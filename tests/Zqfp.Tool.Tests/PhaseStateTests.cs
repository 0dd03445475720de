namespace Zqfp.Tool.Tests;

public class PhaseStateTests
{
    [Theory]
    [InlineData(0, 28, 0, "Quantizing: 0/28 layers (0 %)")]
    [InlineData(7, 28, 3.5, "Quantizing: 7/28 layers (25 %), 2.0 layers/s, 0:10 left")]
    [InlineData(1, 2000, 4, "Quantizing: 1/2000 layers (0 %), 0.3 layers/s, 2:13:16 left")]
    [InlineData(28, 28, 14, "Quantizing: 28/28 layers (100 %), 2.0 layers/s, took 0:14")]
    [InlineData(3, 0, 3, "Quantizing: 3 layers, 1.0 layers/s")]
    public void Tells_count_rate_and_remaining_time(long done, long total, double seconds, string expected) =>
        Assert.Equal(expected,
            new PhaseState(new JobProgress("Quantizing", done, total, "layers"), TimeSpan.FromSeconds(seconds), IsFirst: false).Describe());

    [Theory]
    [InlineData(0, 28, 0, 0.5, "Quantizing: 0/28 layers (0 %)")]
    [InlineData(0, 28, 0, 7, "Quantizing: 0/28 layers (0 %), 0:07")]
    [InlineData(7, 28, 3.5, 4, "Quantizing: 7/28 layers (25 %), 2.0 layers/s, 0:06 left")]
    [InlineData(7, 28, 3.5, 60, "Quantizing: 7/28 layers (25 %), 2.0 layers/s, 0:00 left")]
    public void While_nothing_is_reported_the_time_goes_on(long done, long total, double seconds, double waited, string expected) =>
        Assert.Equal(expected, new PhaseState(new JobProgress("Quantizing", done, total, "layers"), TimeSpan.FromSeconds(seconds),
            IsFirst: false)
        { Waited = TimeSpan.FromSeconds(waited) }.Describe());

    [Theory]
    [InlineData(0, 28, "░░░░░░░░")]
    [InlineData(7, 28, "██░░░░░░")]
    [InlineData(28, 28, "████████")]
    [InlineData(3, 0, "")]
    public void The_bar_shows_the_share(long done, long total, string expected) =>
        Assert.Equal(expected, new PhaseState(new JobProgress("Quantizing", done, total, "layers"), TimeSpan.Zero, IsFirst: false).Bar(8));
}
