namespace Zqfp.Core.Tests;

public sealed class OutputLocksTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string Output => Path.Combine(_folder, "out", "model.onnx");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_second_writer_is_told_the_first_and_waits()
    {
        OutputLocks first = OutputLocks.Acquire([Output], _ => { }, CancellationToken.None);
        List<string> told = [];
        using (OutputLocks.Acquire([Output], Tell, CancellationToken.None))
        {
            Assert.Contains($"process {Environment.ProcessId}", Assert.Single(told), StringComparison.Ordinal);
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));

        void Tell(string line)
        {
            told.Add(line);
            first.Dispose();
        }
    }

    [Fact]
    public void What_killed_writers_left_goes_and_everything_else_stays()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Output)!);
        string other = Output + "2";
        string[] left = [NewFile.TemporaryName(Output), NewFile.TemporaryName(Output + ".data")];
        string[] stay = [Output, NewFile.TemporaryName(other), Output + ".tmp", Output + ".0123.tmp"];
        foreach (string file in (string[])[.. left, .. stay])
        {
            File.WriteAllText(file, "x");
        }

        string layers = NewFile.TemporaryName(Output);
        Directory.CreateDirectory(layers);
        File.WriteAllText(Path.Combine(layers, "00000.layer"), "x");
        OutputLocks.Acquire([Output], _ => { }, CancellationToken.None).Dispose();

        string[] found = Directory.GetFileSystemEntries(Path.GetDirectoryName(Output)!);
        Assert.Equal(stay.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_ZQFP0019_at_once()
    {
        File.WriteAllText(Path.Combine(_folder, "out"), "");
        Assert.Equal("ZQFP0019", Assert.Throws<ZqfpException>(
            () => OutputLocks.Acquire([Output], _ => Assert.Fail("It waits."), CancellationToken.None)).Code);
    }

    [UnixFact]
    public void Two_ways_to_one_folder_are_one_lock()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Output)!);
        string link = Path.Combine(_folder, "link");
        Directory.CreateSymbolicLink(link, Path.GetDirectoryName(Output)!);
        using var first = OutputLocks.Acquire([Output], _ => { }, CancellationToken.None);
        using var stop = new CancellationTokenSource();
        string other = Path.Combine(link, "model.onnx");
        Assert.Throws<OperationCanceledException>(() => OutputLocks.Acquire([other], _ => stop.Cancel(), stop.Token));
    }
}
