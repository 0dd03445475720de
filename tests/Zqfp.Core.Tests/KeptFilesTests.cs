namespace Zqfp.Core.Tests;

public sealed class KeptFilesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string[] Files => [.. Directory.GetFiles(_folder).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_unused_goes_after_a_month_and_what_is_used_stays()
    {
        string half = $"{Name('e')}.{Guid.NewGuid():N}.tmp";
        string writing = $"{Name('f')}.{Guid.NewGuid():N}.tmp";
        Write(Name('a'), days: 40);
        Write(Name('b'), days: 31);
        Write(Name('c'), days: 29);
        Write(half, days: 31);
        Write(writing, days: 0);
        var kept = new KeptFiles(_folder, ".json");
        kept.Use(Path.Combine(_folder, Name('a')));
        Assert.Equal(10, kept.UsedBytes());
        kept.Prune(long.MaxValue);

        Assert.Equal([Name('a'), Name('c'), writing], Files);
        Assert.True(DateTime.UtcNow - File.GetLastWriteTimeUtc(Path.Combine(_folder, Name('a'))) < TimeSpan.FromHours(1));
    }

    [Fact]
    public void What_is_no_result_stays_however_old_for_the_folder_may_be_that_of_a_model()
    {
        string[] others = ["0.json", "config.json", "tokenizer.json", $"{new string('g', 64)}.json", $"{new string('A', 64)}.json",
            $"{new string('a', 65)}.json", "notes.tmp", "zqfp.baseline.json"];
        foreach (string name in others)
        {
            Write(name, days: 400);
        }

        new KeptFiles(_folder, ".json").Prune(0);
        Assert.Equal(others.Order(StringComparer.Ordinal), Files);
    }

    [Fact]
    public void Of_more_than_there_is_room_for_the_longest_unused_go_but_none_of_the_last_hour()
    {
        Write(Name('a'), days: 0);
        Write(Name('b'), days: 1);
        Write(Name('c'), days: 2);
        Write(Name('d'), days: 3);
        new KeptFiles(_folder, ".json").Prune(20);
        Assert.Equal([Name('a'), Name('b')], Files);

        new KeptFiles(_folder, ".json").Prune(0);
        Assert.Equal([Name('a')], Files);
    }

    [Fact]
    public void A_folder_that_is_not_there_and_files_that_vanish_are_no_error()
    {
        new KeptFiles(Path.Combine(_folder, "none"), ".json").Prune(0);
        var kept = new KeptFiles(_folder, ".json");
        kept.Use(Path.Combine(_folder, Name('a')));

        Assert.Equal(0, kept.UsedBytes());
    }

    [Fact]
    public async Task Processes_that_prune_one_folder_at_once_do_not_fail()
    {
        for (int i = 0; i < 200; i++)
        {
            Write($"{i:x64}.json", days: 40);
        }

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => new KeptFiles(_folder, ".json").Prune(0))));
        Assert.Empty(Files);
    }

    private static string Name(char digit) => $"{new string(digit, 64)}.json";

    private void Write(string name, int days)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, "ten bytes.");
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddDays(-days));
    }
}
