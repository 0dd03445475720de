using Microsoft.ML.OnnxRuntime;
using Zqfp.OnnxRewriter;

namespace Zqfp.Quantization.Tests;

public sealed class ShardExchangeTests : IDisposable
{
    private const string Side = "quantized";

    // A wait without an end fails instead of holding up all tests.
    private readonly CancellationTokenSource _limit = new(TimeSpan.FromMinutes(3));
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public ShardExchangeTests() => Options = new()
    {
        ModelPath = TinyDecoder.Write(_folder),
        OutputPath = Path.Combine(_folder, "out", "model.onnx"),
        CalibrationPath = TinyDecoder.WriteTokens(_folder, 1024),
        WorkFolder = Work,
        Window = 64,
        Windows = 12,
        Quantization = new() { GroupSize = 16, Rank = 2 },
        Patience = TimeSpan.FromMinutes(1),
    };

    private QuantizeOptions Options { get; }

    private string Work => Path.Combine(_folder, "work");

    public void Dispose()
    {
        _limit.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Of_two_shards_that_were_started_differently_the_second_says_so_and_the_first_goes_on()
    {
        QuantizeJob.Run(Options with { WorkFolder = null }, new SilentObserver(), default);
        byte[] expected = File.ReadAllBytes(Options.OutputPath + ".data");
        Task<ShardReport> first = Task.Run(() => Run(0, Options));
        while (!File.Exists(WorkFolderLocks.PathOf(Work, new Shard(0, 2)) + ".run"))
        {
            Assert.False(first.IsCompleted);
            await Task.Delay(20);
        }

        ZqfpException error = Assert.Throws<ZqfpException>(() => Run(1, Options with { Window = 32 }));
        Assert.Equal("ZQFP0044", error.Code);
        Assert.Contains("Shard 1/2", error.Message, StringComparison.Ordinal);
        Assert.Contains("another --window (64; here 32), another calibration text.", error.Message, StringComparison.Ordinal);
        Run(1, Options with { Threads = 1 });
        await first;
        QuantizeJob.Run(Options with { MergesOnly = true }, new SilentObserver(), default);
        Assert.Equal(expected, File.ReadAllBytes(Options.OutputPath + ".data"));
        Assert.All(Directory.GetFiles(Work), file => Assert.EndsWith(".layer", file, StringComparison.Ordinal));
    }

    [Fact]
    public void Of_two_shards_of_different_numbers_the_second_says_so_at_once()
    {
        using (Locks(new Shard(0, 4)))
        {
            ZqfpException error = Assert.Throws<ZqfpException>(() => Locks(new Shard(1, 3)));
            Assert.Equal("ZQFP0044", error.Code);
            Assert.Contains("Shard 1/4", error.Message, StringComparison.Ordinal);
            Assert.Contains("another number of shards (4; here 3)", error.Message, StringComparison.Ordinal);
        }

        Locks(new Shard(1, 3)).Dispose();
    }

    [Fact]
    public async Task What_an_array_that_was_cancelled_left_serves_one_of_another_number()
    {
        QuantizeJob.Run(Options with { WorkFolder = null }, new SilentObserver(), default);
        byte[] expected = File.ReadAllBytes(Options.OutputPath + ".data");
        await Task.WhenAll(Enumerable.Range(0, 2).Select(index => Task.Run(() => Run(index, Options))));
        Array.ForEach([.. Directory.GetFiles(Work).Order(StringComparer.Ordinal).Skip(2)], File.Delete);
        Assert.Equal("ZQFP4010", Assert.Throws<ZqfpException>(() => Run(0, Options with { Patience = TimeSpan.Zero })).Code);
        new ShardNotice("of a killed one", new Dictionary<string, string>()).Write(WorkFolderLocks.PathOf(Work, new Shard(1, 2)));
        Assert.NotEmpty(Directory.GetFiles(Work, "*.boundary"));

        ShardReport[] reports = await Task.WhenAll(Enumerable.Range(0, 3).Select(index => Task.Run(() => Run(index, Options, 3))));
        Assert.Equal(2, reports.Sum(report => report.Kept));
        QuantizeJob.Run(Options with { MergesOnly = true }, new SilentObserver(), default);
        Assert.Equal(expected, File.ReadAllBytes(Options.OutputPath + ".data"));
        Assert.All(Directory.GetFiles(Work), file => Assert.EndsWith(".layer", file, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Shards_of_different_numbers_need_not_know_of_each_other_where_layers_are_independent()
    {
        QuantizeOptions options = Options with { CalibrateOn = CalibrationSource.Float };
        QuantizeJob.Run(options with { WorkFolder = null }, new SilentObserver(), default);
        byte[] expected = File.ReadAllBytes(Options.OutputPath + ".data");
        Shard[] shards = [new Shard(1, 4), new Shard(0, 3), new Shard(1, 3), new Shard(2, 3)];
        await Task.WhenAll(shards.Select(shard => Task.Run(() => Run(shard.Index, options, shard.Count))));
        QuantizeJob.Run(options with { MergesOnly = true }, new SilentObserver(), default);
        Assert.Equal(expected, File.ReadAllBytes(Options.OutputPath + ".data"));
    }

    [Fact]
    public async Task A_shard_whose_values_were_damaged_does_not_wait_for_those_who_need_them()
    {
        using ShardLocks own = Locks(0);
        using ShardLocks other = Locks(1);
        ShardExchange exchange = Exchange(0, own);
        CalibrationStage stage = Stage();
        exchange.Leave(stage, Side, Values(stage));
        string left = Assert.Single(Directory.GetFiles(Work, "*.boundary"));
        File.WriteAllBytes(left, File.ReadAllBytes(left)[..^1]);

        ShardExchange reader = Exchange(1, other);
        reader.Leave(stage, Side, Values(stage));
        Task<StageValues> read = Task.Run(() => reader.Gather(stage, 0, Side, stage.Observes, () => new BatchValues(2, null)));
        ZqfpException error = Assert.Throws<ZqfpException>(() => exchange.Finish(stage, 1, _ => false));
        Assert.Equal("ZQFP4011", error.Code);
        Assert.Contains("shard 1/2 had left", error.Message, StringComparison.Ordinal);

        // Started again, it leaves them again, and the other has waited.
        Exchange(0, own).Leave(stage, Side, Values(stage));
        (await read.WaitAsync(TimeSpan.FromMinutes(1))).Dispose();
    }

    [Fact]
    public void A_shard_does_not_wait_for_what_another_left_before_it_went_on()
    {
        using ShardLocks own = Locks(0);
        using ShardLocks other = Locks(1);
        other.Reach(3);
        CalibrationStage stage = Stage();
        ShardExchange exchange = Exchange(0, own);
        exchange.Leave(stage, Side, Values(stage));
        ZqfpException error = Assert.Throws<ZqfpException>(
            () => exchange.Gather(stage, 2, Side, stage.Observes, () => new BatchValues(2, null)));
        Assert.Equal("ZQFP4011", error.Code);
        Assert.Contains("shard 2/2 had left", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shard_that_waits_says_for_which_one()
    {
        using ShardLocks own = Locks(0);
        var told = new Notes();
        CalibrationStage stage = Stage();
        ShardExchange exchange = Exchange(0, own, TimeSpan.FromSeconds(5), told);
        Assert.Equal("ZQFP4010", Assert.Throws<ZqfpException>(() => exchange.Finish(stage, 1, _ => false)).Code);
        Assert.Equal("Waiting for shard 2/2, which is not running.", Assert.Single(told.Lines));
    }

    [Fact]
    public void Another_build_model_or_text_is_told_by_its_name()
    {
        static ShardNotice Notice(string key, params (string Name, string Value)[] parts) =>
            new(key, parts.ToDictionary(part => part.Name, part => part.Value));
        ShardNotice one = Notice("a", ("build of this tool", "1"), ("model", "2"), ("--rank", "8"));
        Assert.Null(one.DifferenceFrom(Notice("a", ("model", "3"))));
        Assert.Equal("another build of this tool, another model", one.DifferenceFrom(
            Notice("b", ("build of this tool", "2"), ("model", "3"), ("--rank", "8"))));
        Assert.Equal("another --rank (not given; here 8)", one.DifferenceFrom(Notice("b", ("build of this tool", "1"), ("model", "2"))));
        Assert.Equal("other options", one.DifferenceFrom(one with { Key = "b" }));
    }

    [UnixFact]
    public void A_value_that_cannot_be_read_just_now_stays_for_the_others()
    {
        Directory.CreateDirectory(Work);
        var store = new BoundaryStore(Work, "identity");
        using BatchValues value = Value();
        store.Keep("x", value, [0]);
        string file = Assert.Single(Directory.GetFiles(Work));
        using (File.Open(file, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
        {
            Assert.Equal("ZQFP0007", Assert.Throws<ZqfpException>(() => store.TryRead("x", [0], () => new BatchValues(1, null))).Code);
        }

        using BatchValues? read = store.TryRead("x", [0], () => new BatchValues(1, null));
        Assert.Equal([1f, 2f], read!.Open(0).Value.GetTensorDataAsSpan<float>().ToArray());
    }

    [Fact]
    public void What_a_killed_process_was_writing_goes_with_the_values()
    {
        Directory.CreateDirectory(Work);
        var store = new BoundaryStore(Work, "identity");
        using BatchValues value = Value();
        store.Keep("x", value, [0]);
        File.WriteAllText(NewFile.TemporaryName(Assert.Single(Directory.GetFiles(Work))), "half");
        string another = Path.Combine(Work, "theirs.boundary");
        File.WriteAllText(another, "x");
        BoundaryStore.Clear(Work);
        Assert.Equal([another], Directory.GetFiles(Work));
    }

    private ShardReport Run(int index, QuantizeOptions options, int count = 2)
    {
        var shard = new Shard(index, count);
        return QuantizeJob.RunShard(options with { Shard = shard }, shard, new SilentObserver(), _limit.Token);
    }

    private static BatchValues Value()
    {
        var value = new BatchValues(1, null);
        value.Set(0, OrtValue.CreateTensorValueFromMemory([1f, 2f], [2]));
        return value;
    }

    private static StageValues Values(CalibrationStage stage)
    {
        BatchValues value = Value();
        return new StageValues(stage.Observes.ToDictionary(name => name, _ => value), [value]);
    }

    private ShardLocks Locks(int index) => Locks(new Shard(index, 2));

    private ShardLocks Locks(Shard shard)
    {
        ShardLocks locks = WorkFolderLocks.OfShard(Work, shard, new SilentObserver(), default);
        try
        {
            locks.Announce(new ShardNotice("key", new Dictionary<string, string>()), new SilentObserver(), default);
            return locks;
        }
        catch
        {
            locks.Dispose();
            throw;
        }
    }

    private ShardExchange Exchange(int index, ShardLocks locks, TimeSpan patience = default, IJobObserver? observer = null) => new(
        new Shard(index, 2), 2, Work, _ => new LayerKey("key"), locks, patience, observer ?? new SilentObserver(), _limit.Token);

    private CalibrationStage Stage()
    {
        using OnnxFile file = OnnxFile.Open(Options.ModelPath);
        var model = ModelLayers.Of(file, Options);
        return new TargetPlan(Options, file, model, [.. model.Chosen.Select(choice => choice.Layer)]).Stages[0];
    }

    private sealed class Notes : IJobObserver
    {
        public List<string> Lines { get; } = [];

        public void Report(JobProgress progress)
        {
        }

        public void Warn(Diagnostic warning)
        {
        }

        public void Note(string message, bool isDetail = false) => Lines.Add(message);
    }
}
