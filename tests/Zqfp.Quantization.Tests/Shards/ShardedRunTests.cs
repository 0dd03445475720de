using Zqfp.Numerics;

namespace Zqfp.Quantization.Tests;

public sealed class ShardedRunTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string Output => Path.Combine(_folder, "out", "model.onnx");

    private string Work => Path.Combine(_folder, "work");

    private QuantizeOptions Options => SampleModel.Quick(Output) with
    {
        Windows = 6,
        CalibrateOn = CalibrationSource.Float,
        LayerTarget = LayerTarget.Residual,
        Rotation = QuantizeOptions.AutoRotation,
        WorkFolder = Work,
    };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(4)]
    [InlineData(33)]
    public void Shards_in_any_number_and_order_give_the_bytes_of_one_run(int count)
    {
        byte[] expected = Alone();
        ShardReport[] reports = [.. Enumerable.Range(0, count).Reverse().Select(index => RunShard(index, count))];
        Assert.Equal(28, reports.Sum(report => report.Layers.Count));
        Assert.Equal(28, reports.SelectMany(report => report.Layers).Distinct().Count());
        Assert.Equal(expected, Merged());
        Assert.All(Directory.GetFiles(Work), file => Assert.EndsWith(".layer", file, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Shards_that_run_at_once_give_the_bytes_of_one_run()
    {
        byte[] expected = Alone();
        await Task.WhenAll(Enumerable.Range(0, 3).Select(index => Task.Run(() => RunShard(index, 3))));
        Assert.Equal(expected, Merged());
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Shards_that_go_from_stage_to_stage_together_give_the_bytes_of_one_run(int count)
    {
        QuantizeOptions options = Options with { CalibrateOn = CalibrationSource.Quantized, Patience = TimeSpan.FromMinutes(1) };
        QuantizeJob.Run(options with { WorkFolder = null }, new SilentObserver(), CancellationToken.None);
        byte[] expected = TakeOutput();
        ShardReport[] reports = await Task.WhenAll(Enumerable.Range(0, count).Select(index => Task.Run(() => QuantizeJob.RunShard(
            options with { Shard = new Shard(index, count) }, new Shard(index, count), new SilentObserver(), CancellationToken.None))));
        Assert.Equal(28, reports.SelectMany(report => report.Layers).Distinct().Count());
        Assert.Equal(2, reports.Count(report => report.Layers.Count > 0)); // There are two batches.
        Assert.All(Directory.GetFiles(Work), file => Assert.EndsWith(".layer", file, StringComparison.Ordinal));
        QuantizeJob.Run(options with { MergesOnly = true }, new SilentObserver(), CancellationToken.None);
        Assert.Equal(expected, TakeOutput());
    }

    /// <summary>Shards divide the experts; those of a loop are joined in pairs, and a router chooses a rotation with its experts.</summary>
    [Theory]
    [InlineData("moe_batched", 5)]
    [InlineData("moe_loop", 5)]
    [InlineData("moe_loop", 2)]
    public async Task Shards_of_a_mixture_give_the_bytes_of_one_run(string name, int count)
    {
        bool isTogether = count == 2;
        QuantizeOptions options = Options with
        {
            ModelPath = Repository.Path($"tests/Cases/{name}/model.onnx"),
            TokenizerPath = null,
            CalibrationPath = Repository.Path($"tests/Cases/{name}/cal.i16"),
            Window = 32,
            CalibrateOn = isTogether ? CalibrationSource.Quantized : CalibrationSource.Float,
            Patience = TimeSpan.FromMinutes(1),
        };
        QuantizeJob.Run(options with { WorkFolder = null }, new SilentObserver(), CancellationToken.None);
        byte[] expected = TakeOutput();
        ShardReport Run(int index) => QuantizeJob.RunShard(
            options with { Shard = new Shard(index, count) }, new Shard(index, count), new SilentObserver(), CancellationToken.None);
        ShardReport[] reports = isTogether
            ? await Task.WhenAll(Enumerable.Range(0, count).Select(index => Task.Run(() => Run(index))))
            : [.. Enumerable.Range(0, count).Select(Run)];
        Assert.Equal(name == "moe_loop" ? 34 : 26, reports.SelectMany(report => report.Layers).Distinct().Count());
        QuantizeJob.Run(options with { MergesOnly = true }, new SilentObserver(), CancellationToken.None);
        Assert.Equal(expected, TakeOutput());
    }

    [Fact]
    public async Task A_shard_that_is_killed_and_started_again_catches_up_with_the_others()
    {
        QuantizeOptions options = Options with { CalibrateOn = CalibrationSource.Quantized };
        QuantizeJob.Run(options with { WorkFolder = null }, new SilentObserver(), CancellationToken.None);
        byte[] expected = TakeOutput();
        using var stop = new CancellationTokenSource();
        ShardReport Together(int index, CancellationToken cancellation) => QuantizeJob.RunShard(
            options with { Shard = new Shard(index, 2) }, new Shard(index, 2), new SilentObserver(), cancellation);
        Task<ShardReport> other = Task.Run(() => Together(1, CancellationToken.None));
        Task<ShardReport> stopped = Task.Run(() => Together(0, stop.Token));
        while (!Directory.Exists(Work) || Directory.GetFiles(Work, "*.layer").Length < 6)
        {
            Assert.False(other.IsCompleted || stopped.IsCompleted, "A shard ended by itself.");
            await Task.Delay(20);
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stopped);
        ShardReport again = Together(0, CancellationToken.None);
        Assert.InRange(again.Kept, 1, again.Layers.Count - 1);
        await other;
        QuantizeJob.Run(options with { MergesOnly = true }, new SilentObserver(), CancellationToken.None);
        Assert.Equal(expected, TakeOutput());
    }

    [Fact]
    public void A_shard_whose_others_do_not_start_ends_with_ZQFP4010()
    {
        QuantizeOptions options = Options with { CalibrateOn = CalibrationSource.Quantized, Patience = TimeSpan.Zero };
        ZqfpException error = Assert.Throws<ZqfpException>(() => QuantizeJob.RunShard(
            options with { Shard = new Shard(0, 2) }, new Shard(0, 2), new SilentObserver(), CancellationToken.None));
        Assert.Equal("ZQFP4010", error.Code);
        Assert.Contains("shard 2/2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shard_that_starts_later_begins_where_another_has_passed_and_makes_the_same_layers()
    {
        RunShard(2, 3);
        Assert.NotEmpty(Directory.GetFiles(Work, "*.boundary"));
        Dictionary<string, byte[]> alone = Layers();
        Array.ForEach(Directory.GetFiles(Work, "*.layer"), File.Delete);
        RunShard(2, 3);
        Assert.Equal(alone, Layers());
    }

    [Fact]
    public void A_damaged_boundary_is_as_good_as_none()
    {
        RunShard(2, 3);
        Dictionary<string, byte[]> alone = Layers();
        Array.ForEach(Directory.GetFiles(Work, "*.layer"), File.Delete);
        Array.ForEach(Directory.GetFiles(Work, "*.boundary"), file => File.WriteAllBytes(file, File.ReadAllBytes(file)[..^1]));
        RunShard(2, 3);
        Assert.Equal(alone, Layers());
    }

    [Fact]
    public void A_shard_that_is_run_again_quantizes_only_what_is_missing()
    {
        ShardReport first = RunShard(1, 2);
        File.Delete(Directory.GetFiles(Work, "*.layer")[0]);
        ShardReport again = RunShard(1, 2);
        Assert.Equal((0, first.Layers.Count - 1), (first.Kept, again.Kept));
    }

    [Fact]
    public void A_merge_names_the_shards_that_are_missing()
    {
        RunShard(0, 3);
        RunShard(2, 3);
        ZqfpException error = Assert.Throws<ZqfpException>(() => Merged(3));
        Assert.Equal("ZQFP0041", error.Code);
        Assert.Contains("Run shard 2/3 again", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Output));
    }

    [Fact]
    public void Without_calibration_every_layer_stands_alone()
    {
        QuantizeOptions plain = SampleModel.Quick(Output) with
        {
            CalibrationPath = null,
            TokenizerPath = null,
            Quantization = new QuantizationOptions { Method = QuantizationMethod.Rtn, Rank = 0 },
            WorkFolder = Work,
        };
        for (int i = 0; i < 2; i++)
        {
            QuantizeJob.RunShard(plain with { Shard = new Shard(i, 2) }, new Shard(i, 2), new SilentObserver(), CancellationToken.None);
        }

        Assert.Equal(28, QuantizeJob.Run(plain with { MergesOnly = true }, new SilentObserver(), CancellationToken.None).Layers.Count);
    }

    [Fact]
    public void What_cannot_be_divided_is_ZQFP0040()
    {
        Refused(Options with { WorkFolder = null, Shard = new Shard(0, 2) });
        Refused(Options with { WorkFolder = null, MergesOnly = true });
        Refused(Options with { MergesOnly = true, Shard = new Shard(0, 2) });
        Refused(Options with { CalibrateOn = CalibrationSource.Quantized, Shards = 2 });
        Refused(Options with { Shards = 2 });
        Refused(Options with { Shard = new Shard(0, 2), Shards = 3 });
        Refused(Options with { Budget = new Budget { Bits = 5 }, Shard = new Shard(0, 2) });

        static void Refused(QuantizeOptions options) =>
            Assert.Equal("ZQFP0040", Assert.Throws<ZqfpException>(() => QuantizeJob.Check(options)).Code);
    }

    private byte[] Alone()
    {
        QuantizeJob.Run(Options with { WorkFolder = null }, new SilentObserver(), CancellationToken.None);
        return TakeOutput();
    }

    private byte[] Merged(int? shards = null)
    {
        QuantizeJob.Run(Options with { MergesOnly = true, Shards = shards }, new SilentObserver(), CancellationToken.None);
        return TakeOutput();
    }

    private byte[] TakeOutput()
    {
        byte[] bytes = [.. File.ReadAllBytes(Output), .. File.ReadAllBytes(Output + ".data")];
        Directory.Delete(Path.GetDirectoryName(Output)!, recursive: true);
        return bytes;
    }

    private ShardReport RunShard(int index, int count)
    {
        var shard = new Shard(index, count);
        return QuantizeJob.RunShard(Options with { Shard = shard }, shard, new SilentObserver(), CancellationToken.None);
    }

    private Dictionary<string, byte[]> Layers() =>
        Directory.GetFiles(Work, "*.layer").ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes);
}
