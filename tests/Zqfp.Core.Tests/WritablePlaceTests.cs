namespace Zqfp.Core.Tests;

/// <summary>Whether a place can be written is found out by writing there, and leaves nothing.</summary>
public sealed class WritablePlaceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_in_a_folder_that_is_there_or_can_be_made_has_no_problem()
    {
        Assert.Null(WritablePlace.ProblemOfFile(_folder.File("a.json")));
        Assert.Null(WritablePlace.ProblemOfFile(_folder.File("b/c/d.json")));
        Assert.Null(WritablePlace.ProblemOfFolder(_folder.File("e/f")));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void A_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder_are_named()
    {
        string file = _folder.File("file");
        File.WriteAllText(file, "x");
        Assert.Equal($"'{_folder.Path}' is a folder.", WritablePlace.ProblemOfFile(_folder.Path));
        Assert.Equal($"'{file}' is a file.", WritablePlace.ProblemOfFolder(file));
        Assert.Equal($"'{file}' is a file.", WritablePlace.ProblemOfFile(Path.Combine(file, "a", "b")));
    }

    [UnixFact]
    public void What_the_system_says_is_told_of_the_folder_and_not_of_a_temporary_file()
    {
        Assert.Equal("No file can be created in '/proc'.", WritablePlace.ProblemOfFile("/proc/a/b.json"));
        var exception = Assert.ThrowsAny<IOException>(() => WholeFile.WriteText("/proc/b.json", "x"));
        Assert.Equal("'/proc/b.json' cannot be created.", NewFile.Explain(exception));
        Assert.Equal("No space left on device : '/x/m.onnx'", NewFile.Explain(
            new IOException($"No space left on device : '{NewFile.TemporaryName("/x/m.onnx")}'")));
    }
}
