namespace Zqfp.Quantization.Tests;

public sealed class WorkFolderLocksTests : IDisposable
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(300);

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_run_waits_for_shards_in_its_work_folder()
    {
        using var stop = new CancellationTokenSource(Moment);
        using ShardLocks shard = OfShard(0);
        using ShardLocks other = OfShard(1);
        Assert.ThrowsAny<OperationCanceledException>(() => OfRun(stop.Token));
    }

    [Fact]
    public void A_shard_waits_for_the_run_that_has_its_work_folder()
    {
        using var stop = new CancellationTokenSource(Moment);
        using OutputLocks run = OfRun(CancellationToken.None);
        Assert.ThrowsAny<OperationCanceledException>(() => OfShard(0, stop.Token));
    }

    [Fact]
    public async Task A_shard_begins_while_a_second_copy_of_another_and_a_run_wait_for_that_one()
    {
        using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        ShardLocks first = OfShard(0);
        Task<ShardLocks> copy = Task.Run(() => OfShard(0, stop.Token));
        Task<OutputLocks> run = Task.Run(() => OfRun(stop.Token));
        await Task.Delay(Moment);
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        OfShard(1, soon.Token).Dispose();
        Assert.False(copy.IsCompleted || run.IsCompleted);

        first.Dispose();
        await Task.WhenAll(Release(copy), Release(run));
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void What_killed_shards_left_goes_with_the_next_run()
    {
        string killed = WorkFolderLocks.PathOf(_folder, new Shard(2, 4));
        string[] left =
        [
            killed + ".lock", killed + "-windows.lock", killed + ".run", NewFile.TemporaryName(killed),
            NewFile.TemporaryName(killed + ".run"),
        ];
        Array.ForEach(left, file => File.WriteAllText(file, "x"));
        OfRun(CancellationToken.None).Dispose();
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void A_file_in_the_place_of_the_folder_is_ZQFP0007()
    {
        string file = Path.Combine(_folder, "work");
        File.WriteAllText(file, "x");
        Unusable(file);
        Unusable(Path.Combine(file, "below"));
    }

    [LinuxFact]
    public void A_place_where_no_folder_can_be_made_is_ZQFP0007() => Unusable("/proc/zqfp-work");

    private static void Unusable(string folder)
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        Refused(() => WorkFolderLocks.OfShard(folder, new Shard(0, 2), new SilentObserver(), soon.Token));
        Refused(() => WorkFolderLocks.OfRun(folder, new SilentObserver(), soon.Token));

        void Refused(Func<IDisposable> take)
        {
            ZqfpException error = Assert.Throws<ZqfpException>(take);
            Assert.Equal(("ZQFP0007", folder), (error.Code, error.File));
        }
    }

    // Each as soon as it is held: the other may wait for it.
    private static async Task Release<T>(Task<T> locks)
        where T : IDisposable => (await locks).Dispose();

    private ShardLocks OfShard(int index, CancellationToken cancellation = default) =>
        WorkFolderLocks.OfShard(_folder, new Shard(index, 2), new SilentObserver(), cancellation);

    private OutputLocks OfRun(CancellationToken cancellation) => WorkFolderLocks.OfRun(_folder, new SilentObserver(), cancellation);
}
