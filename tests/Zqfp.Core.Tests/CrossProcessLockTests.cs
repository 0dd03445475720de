namespace Zqfp.Core.Tests;

public sealed class CrossProcessLockTests
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    [Fact]
    public void Who_waits_is_told_who_holds_the_lock_and_gets_it_afterwards()
    {
        string name = $"test-{Guid.NewGuid():N}";
        CrossProcessLock first = CrossProcessLock.Acquire(name, Pause, _ => { }, CancellationToken.None, "the first");
        try
        {
            List<string?> told = [];
            using (CrossProcessLock.Acquire(name, Pause, Tell, CancellationToken.None, "the second"))
            {
                Assert.Equal(["the first"], told);
                Assert.Equal("the second", File.ReadAllText(CrossProcessLock.FilePath(name) + ".holder"));
            }

            Assert.False(File.Exists(CrossProcessLock.FilePath(name) + ".holder"));

            void Tell(string? holder)
            {
                told.Add(holder);
                first.Dispose();
            }
        }
        finally
        {
            first.Dispose();
            File.Delete(CrossProcessLock.FilePath(name));
        }
    }

    [Fact]
    public void A_holder_that_says_nothing_of_itself_is_waited_for_all_the_same()
    {
        string name = $"test-{Guid.NewGuid():N}";
        using (CrossProcessLock.Acquire(name, Pause, _ => { }, CancellationToken.None))
        {
            string? told = "nobody";
            using var stop = new CancellationTokenSource();
            Assert.Throws<OperationCanceledException>(() => CrossProcessLock.Acquire(name, Pause, holder =>
            {
                told =
                holder; stop.Cancel();
            }, stop.Token));
            Assert.Null(told);
        }

        File.Delete(CrossProcessLock.FilePath(name));
    }
}
