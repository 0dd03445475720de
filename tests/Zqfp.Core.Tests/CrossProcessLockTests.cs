namespace Zqfp.Core.Tests;

public sealed class CrossProcessLockTests : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string Lock => Path.Combine(_folder, "model.onnx.lock");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Who_waits_is_told_who_holds_the_lock_and_gets_it_afterwards()
    {
        CrossProcessLock first = CrossProcessLock.Acquire(Lock, Pause, _ => { }, CancellationToken.None, "the first");
        List<string?> told = [];
        using (CrossProcessLock.Acquire(Lock, Pause, Tell, CancellationToken.None, "the second"))
        {
            Assert.Equal(["the first"], told);
            Assert.Equal("the second", File.ReadAllText(Lock + ".holder"));
        }

        Assert.Empty(Directory.GetFiles(_folder));

        void Tell(string? holder)
        {
            told.Add(holder);
            first.Dispose();
        }
    }

    [Fact]
    public void A_holder_that_says_nothing_of_itself_is_waited_for_all_the_same()
    {
        using var held = CrossProcessLock.Acquire(Lock, Pause, _ => { }, CancellationToken.None);
        string? told = "nobody";
        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => CrossProcessLock.Acquire(Lock, Pause, holder =>
        {
            told = holder;
            stop.Cancel();
        }, stop.Token));
        Assert.Null(told);
    }

    [Fact]
    public void A_lock_that_cannot_be_created_is_an_error_at_once()
    {
        Directory.CreateDirectory(Lock);
        Assert.ThrowsAny<UnauthorizedAccessException>(
            () => CrossProcessLock.Acquire(Lock, Pause, _ => Assert.Fail("It waits."), CancellationToken.None));
        Assert.ThrowsAny<IOException>(() => CrossProcessLock.Acquire(
            Path.Combine(_folder, "none", "x.lock"), Pause, _ => Assert.Fail("It waits."), CancellationToken.None));
    }

    [UnixFact]
    public void A_link_in_the_place_of_the_lock_is_not_followed()
    {
        string other = Path.Combine(_folder, "other");
        File.CreateSymbolicLink(Lock, other);
        Assert.ThrowsAny<IOException>(() => CrossProcessLock.Acquire(Lock, Pause, _ => { }, CancellationToken.None));
        Assert.False(File.Exists(other));
    }

    [Fact]
    public void What_a_killed_holder_left_is_taken_over()
    {
        File.WriteAllText(Lock, "");
        File.WriteAllText(Lock + ".holder", "dead");
        using (CrossProcessLock.Acquire(Lock, Pause, _ => Assert.Fail("It waits."), CancellationToken.None, "alive"))
        {
            Assert.Equal("alive", File.ReadAllText(Lock + ".holder"));
        }

        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task Never_two_hold_it_though_each_holder_removes_the_file()
    {
        int inside = 0;
        int most = 0;
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 50; i++)
            {
                using var held = CrossProcessLock.Acquire(Lock, TimeSpan.FromMilliseconds(1), _ => { }, CancellationToken.None, "one");
                int now = Interlocked.Increment(ref inside);
                InterlockedMax(ref most, now);
                Interlocked.Decrement(ref inside);
            }
        })));
        Assert.Equal(1, most);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (int known = most; value > known && Interlocked.CompareExchange(ref most, value, known) != known; known = most)
        {
        }
    }
}
