namespace Zqfp.Quantization.Tests;

public sealed class MemoryLimitTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string Output => Path.Combine(_folder, "out", "model.onnx");

    private QuantizeOptions Options => QuantizePreset.Default.Apply(SampleModel.Quick(Output) with { Windows = 8 });

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_run_within_little_memory_gives_the_bytes_of_one_without_a_limit()
    {
        byte[] unlimited = Run(Options);
        foreach (string? work in new[] { null, Path.Combine(_folder, "work") })
        {
            QuantizeOptions options = Options with { WorkFolder = work };
            long least = Least(options);
            Assert.True(least < PlanJob.Run(options, CancellationToken.None).Memory.Needed);
            Assert.Equal(unlimited, Run(options with { Memory = least }));
            Assert.Empty(Directory.GetFiles(_folder, "*.tmp", SearchOption.AllDirectories));
        }
    }

    [Fact]
    public void What_does_not_fit_is_refused_before_it_begins()
    {
        QuantizeOptions options = Options with { Memory = 100_000_000 };
        Assert.Equal("ZQFP0043", Assert.Throws<ZqfpException>(() => PlanJob.Run(options, CancellationToken.None)).Code);
        Assert.Equal("ZQFP0043", Assert.Throws<ZqfpException>(() => Run(options)).Code);
        Assert.False(File.Exists(Output));
    }

    [Fact]
    public void The_fastest_way_that_fits_is_taken()
    {
        Assert.Equal(MemoryUse.Usual, MemoryUse.Within(null, _ => long.MaxValue));
        Assert.Equal(MemoryUse.Usual, MemoryUse.Within(10, _ => 10));
        Assert.Equal(new MemoryUse(2048, true), MemoryUse.Within(10, use => use.SpillsBoundaries ? 10 : 11));
        Assert.Equal(new MemoryUse(512, true), MemoryUse.Within(600, use => use.TokensAtOnce));
        Assert.Throws<ZqfpException>(() => MemoryUse.Within(10, _ => 11));
    }

    [Fact]
    public void A_plan_says_what_each_shard_needs()
    {
        QuantizePlan plan = PlanJob.Run(
            Options with { Shards = 3, CalibrateOn = CalibrationSource.Float, WorkFolder = Path.Combine(_folder, "work") },
            CancellationToken.None);
        Assert.Equal(["1/3", "2/3", "3/3", "merge"], plan.Shards.Select(shard => shard.Name));
        Assert.Equal(plan.Model.QuantizedLayers, plan.Shards.Sum(shard => shard.Layers));
        Assert.All(plan.Shards.SkipLast(1), shard => Assert.InRange(shard.Seconds, 0.01, plan.Seconds.Total));
        Assert.All(plan.Shards, shard => Assert.True(shard.Memory <= plan.Memory.Needed && shard.Disk > 0));
    }

    /// <summary>The least memory that is not refused, within 30 MB.</summary>
    private static long Least(QuantizeOptions options)
    {
        (long low, long high) = (100_000_000, 1_000_000_000);
        while (high - low > 30_000_000)
        {
            long middle = (low + high) / 2;
            try
            {
                PlanJob.Run(options with { Memory = middle }, CancellationToken.None);
                high = middle;
            }
            catch (ZqfpException)
            {
                low = middle;
            }
        }

        return high;
    }

    private byte[] Run(QuantizeOptions options)
    {
        QuantizeJob.Run(options, new SilentObserver(), CancellationToken.None);
        byte[] bytes = [.. File.ReadAllBytes(Output), .. File.ReadAllBytes(Output + ".data")];
        Directory.Delete(Path.GetDirectoryName(Output)!, recursive: true);
        return bytes;
    }
}
