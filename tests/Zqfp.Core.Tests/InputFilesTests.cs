namespace Zqfp.Core.Tests;

public sealed class InputFilesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("zqfp-test-").FullName;

    private string Input => Path.Combine(_folder, "input");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_nobody_touched_is_confirmed()
    {
        InputFiles inputs = Added("content");
        inputs.RequireUnchanged(TestContext.Current.CancellationToken);
        inputs.RequireUnchangedContent(TestContext.Current.CancellationToken);
    }

    [Fact]
    public void A_file_that_was_written_again_moved_over_cut_or_removed_is_ZQFP0018()
    {
        foreach (Action change in (Action[])[
            () => File.WriteAllText(Input, "Content"),
            () => File.WriteAllText(Input, "content "),
            () => File.WriteAllText(Input, ""),
            () => File.Delete(Input),
            () =>
            {
                File.WriteAllText(Input + "2", "Content");
                File.Move(Input + "2", Input, overwrite: true);
            },
        ])
        {
            InputFiles inputs = Added("content");
            change();
            Assert.Equal("ZQFP0018", Assert.Throws<ZqfpException>(() => inputs.RequireUnchanged()).Code);
        }
    }

    [Fact]
    public void A_change_whose_time_was_set_back_is_found_by_content()
    {
        InputFiles inputs = Added("content");
        DateTime time = File.GetLastWriteTimeUtc(Input);
        File.WriteAllText(Input, "Content");
        File.SetLastWriteTimeUtc(Input, time);
        Assert.Equal("ZQFP0018", Assert.Throws<ZqfpException>(() => inputs.RequireUnchangedContent()).Code);
        if (OperatingSystem.IsLinux())
        {
            inputs = Added("content");
            time = File.GetLastWriteTimeUtc(Input);
            Thread.Sleep(20);
            File.WriteAllText(Input, "Content");
            File.SetLastWriteTimeUtc(Input, time);
            Assert.Equal("ZQFP0018", Assert.Throws<ZqfpException>(() => inputs.RequireUnchanged()).Code);
        }
    }

    [UnixFact]
    public void Another_permission_is_no_change()
    {
        InputFiles inputs = Added("content");
        Thread.Sleep(20);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(Input, UnixFileMode.UserRead);
        }

        inputs.RequireUnchanged(TestContext.Current.CancellationToken);
        inputs.RequireUnchangedContent(TestContext.Current.CancellationToken);
    }

    [Fact]
    public void A_stamp_taken_before_a_change_does_not_fit_the_changed_file()
    {
        File.WriteAllText(Input, "content");
        var stamp = FileStamp.Of(Input);
        File.WriteAllText(Input, "longer content");
        Assert.Equal("ZQFP0018", Assert.Throws<ZqfpException>(() => new InputFiles().Add(Input, stamp)).Code);
    }

    [Fact]
    public void A_file_added_to_a_folder_is_a_change_of_the_folder()
    {
        File.WriteAllText(Input, "content");
        var inputs = new InputFiles();
        inputs.Add(_folder, TestContext.Current.CancellationToken);
        inputs.RequireUnchanged(TestContext.Current.CancellationToken);
        File.WriteAllText(Path.Combine(_folder, "more"), "");
        Assert.Equal("ZQFP0018", Assert.Throws<ZqfpException>(() => inputs.RequireUnchanged()).Code);
    }

    [Fact]
    public void What_is_not_there_is_left_to_its_reader()
    {
        var inputs = new InputFiles();
        inputs.Add(Input, TestContext.Current.CancellationToken);
        inputs.RequireUnchangedContent(TestContext.Current.CancellationToken);
    }

    private InputFiles Added(string content)
    {
        File.Delete(Input);
        File.WriteAllText(Input, content);
        var inputs = new InputFiles();
        inputs.Add(Input, TestContext.Current.CancellationToken);
        return inputs;
    }
}
