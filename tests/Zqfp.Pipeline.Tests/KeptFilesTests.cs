namespace Zqfp.Pipeline.Tests;

public sealed class KeptFilesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string[] Files => [.. Directory.GetFiles(_folder).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_unused_goes_after_a_month_and_what_is_used_or_of_another_kind_stays()
    {
        Write("used.json", days: 40);
        Write("old.json", days: 31);
        Write("recent.json", days: 29);
        Write("other.txt", days: 400);
        Write("half.tmp", days: 31);
        Write("writing.tmp", days: 0);
        var kept = new KeptFiles(_folder, "*.json");
        kept.Use(Path.Combine(_folder, "used.json"));
        kept.Prune(long.MaxValue);

        Assert.Equal(["other.txt", "recent.json", "used.json", "writing.tmp"], Files);
        Assert.True(DateTime.UtcNow - File.GetLastWriteTimeUtc(Path.Combine(_folder, "used.json")) < TimeSpan.FromHours(1));
    }

    [Fact]
    public void Of_more_than_there_is_room_for_the_longest_unused_go_but_none_of_the_last_hour()
    {
        Write("a.json", days: 0);
        Write("b.json", days: 1);
        Write("c.json", days: 2);
        Write("d.json", days: 3);
        new KeptFiles(_folder, "*.json").Prune(20);
        Assert.Equal(["a.json", "b.json"], Files);

        new KeptFiles(_folder, "*.json").Prune(0);
        Assert.Equal(["a.json"], Files);
    }

    [Fact]
    public void A_folder_that_is_not_there_and_files_that_vanish_are_no_error()
    {
        new KeptFiles(Path.Combine(_folder, "none"), "*").Prune(0);
        var kept = new KeptFiles(_folder, "*.json");
        kept.Use(Path.Combine(_folder, "gone.json"));

        Assert.Equal(0, kept.UsedBytes());
    }

    [Fact]
    public async Task Processes_that_prune_one_folder_at_once_do_not_fail()
    {
        for (int i = 0; i < 200; i++)
        {
            Write($"{i}.json", days: 40);
        }

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => new KeptFiles(_folder, "*.json").Prune(0))));
        Assert.Empty(Files);
    }

    private void Write(string name, int days)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, "ten bytes.");
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddDays(-days));
    }
}
